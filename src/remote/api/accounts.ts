/** Accounts: the own one, and those of others. */
import type { Connection } from '../connection.js';
import { paged } from '../http/pages.js';
import type { FindOutcome } from '../outcome.js';
import { gone, withOutcome } from '../outcome.js';
import type { Account, AccountRole, PersonalData } from '../records.js';
import type { CallerOptions } from '../types.js';
import { exportPages } from './subjects.js';

/** The account that is logged in. */
export class OwnAccount {
  readonly #connection: Connection;
  /** @internal */
  constructor(connection: Connection) {
    this.#connection = connection;
  }

  /** The account as the server knows it. */
  get(options: CallerOptions = {}): Promise<Account> {
    return this.#connection.call('account', {}, options);
  }
  /** PASSWORD_WEAK. The next log-in asks the credentials' source again, which must know the new one by then. */
  async changePassword(current: string, next: string, { signal }: CallerOptions = {}): Promise<void> {
    const connection = this.#connection;
    const { client, session } = connection;
    // With a fresh token, and once: a wrong current password is refused like a token that ended, and counts towards the lock-out.
    const token = await connection.token({ signal, fresh: true });
    const change = () => client.call('changePassword', { body: { current, next } }, { token: token?.token, signal });
    // Asking whether the new password holds would be a log-in, which counts towards the lock-out too.
    await withOutcome(change, { route: 'changePassword', pace: client.pace, signal });
    session.forget();
  }
  /** Everything that is stored about oneself. */
  export(options: CallerOptions = {}): Promise<PersonalData> {
    return exportPages(options, (query) => this.#connection.call('exportOwnData', { query }, options));
  }
}

/** A new account. */
export interface NewUser {
  readonly email: string;
  /** 12 to 256 characters. Its maker knows it: have it changed (`account.changePassword`). */
  readonly password: string;
  readonly role: AccountRole;
  readonly name?: string | undefined;
  readonly address?: string | undefined;
  /** The password must be changed before anything else is done with the account. Default: false. */
  readonly mustChange?: boolean | undefined;
}

/** Changes of an account; an absent member stays as it is. */
export interface UserChange {
  readonly role?: AccountRole | undefined;
  readonly disabled?: boolean | undefined;
  readonly name?: string | undefined;
  readonly address?: string | undefined;
  readonly password?: string | undefined;
  readonly mustChange?: boolean | undefined;
}

/** Accounts of the server. */
export class Users {
  readonly #connection: Connection;
  /** @internal */
  constructor(connection: Connection) {
    this.#connection = connection;
  }

  /** Page after page, as the iteration goes on. */
  list({ signal }: CallerOptions = {}): AsyncIterable<Account> {
    return paged(signal, (cursor) => this.#connection.call('listUsers', { query: { cursor } }, { signal }));
  }
  /** The id of the account that has this e-mail address, in whatever case. The roles `admin` and `apiAdmin` may ask. NOT_FOUND */
  async find(email: string, options: CallerOptions = {}): Promise<string> {
    return (await this.#connection.call('findUser', { body: { email } }, options)).account;
  }
  /** NOT_FOUND */
  get(account: string, options: CallerOptions = {}): Promise<Account> {
    return this.#connection.call('getUser', { params: { account } }, options);
  }
  /** ALREADY_EXISTS, PASSWORD_WEAK */
  create(user: NewUser, options: CallerOptions = {}): Promise<Account> {
    return this.#connection.call('createUser', { body: { ...user } }, options);
  }
  /** Role, name, password; disables or enables. */
  update(account: string, change: UserChange, options: CallerOptions = {}): Promise<Account> {
    const { password, ...shown } = change;
    // Whether a password holds shows nowhere.
    const find: FindOutcome<Account> | undefined =
      password === undefined ? (asking) => this.#shows(account, shown, asking) : undefined;
    return this.#connection.call('updateUser', { params: { account }, body: { ...change } }, options, find);
  }
  /**
   * Gives the account a one-time password: it must be changed before anything else is done with the account. Ends the account's tokens and
   * its lock-out; one that is disabled stays so. PASSWORD_WEAK, NOT_FOUND
   * @param password 12 to 256 characters.
   */
  resetPassword(account: string, password: string, options: CallerOptions = {}): Promise<Account> {
    return this.#connection.call('resetUserPassword', { params: { account }, body: { password } }, options);
  }
  /** Everything that is stored about a person. */
  export(account: string, options: CallerOptions = {}): Promise<PersonalData> {
    return exportPages(options, (query) => this.#connection.call('exportUserData', { params: { account }, query }, options));
  }
  /** Erases an account and the personal data about it. The audit log still verifies afterwards. */
  async erase(account: string, options: CallerOptions = {}): Promise<void> {
    await this.#connection.call(
      'eraseUser',
      { params: { account } },
      options,
      gone((asking) => this.get(account, asking)),
    );
  }

  async #shows(
    account: string,
    { mustChange: mustChangePassword, ...change }: Omit<UserChange, 'password'>,
    options: CallerOptions,
  ): Promise<{ readonly answer: Account } | undefined> {
    const there = await this.get(account, options);
    const wanted = Object.entries({ ...change, mustChangePassword }).filter(([, value]) => value !== undefined);
    return wanted.every(([name, value]) => there[name as keyof Account] === value) ? { answer: there } : undefined;
  }
}
