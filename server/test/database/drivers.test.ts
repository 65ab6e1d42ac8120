/**
 * The contract of the drivers of SQLite, on the one of this run: better-sqlite3, or node:sqlite with MG_TEST_SQLITE=node:sqlite, as
 * scripts/package/sqlite.mjs runs this file in newer Nodes. If these fail, what a server stores or answers depends on the driver that its
 * install happened to get.
 */
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { SqliteDriver, SqliteFile } from '../../src/database/sqlite/drivers/driver.js';
import { errorCodeOf } from '../../src/database/sqlite/drivers/error-codes.js';
import { chooseDriver, sqliteDriver } from '../../src/database/sqlite/drivers/index.js';
import { loadNodeSqlite } from '../../src/database/sqlite/drivers/node-sqlite.js';

const EXPECTED = process.env.MG_TEST_SQLITE ?? 'better-sqlite3';

let folder: string;
let driver: SqliteDriver;
const opened: SqliteFile[] = [];
const at = (name: string): string => join(folder, name);
/** Waits for no other connection, unless told to. */
const open = (name = 'file.db', busyMs = 0): SqliteFile => {
  const file = driver.open(at(name), { busyMs });
  opened.push(file);
  // No test here cuts the power.
  file.exec('PRAGMA synchronous = OFF');
  return file;
};
beforeEach(async () => {
  driver = await sqliteDriver();
  folder = mkdtempSync(join(tmpdir(), 'guard-driver-'));
});
afterEach(() => {
  for (const file of opened.splice(0)) file.close();
  rmSync(folder, { recursive: true });
});

const all = (file: SqliteFile, sql: string, ...parameters: unknown[]): unknown[] => file.prepare(sql).all(parameters);
const run = (file: SqliteFile, sql: string, ...parameters: unknown[]) => file.prepare(sql).run(parameters);
/** The code of the error that `task` throws. */
const codeOf = (task: () => unknown): unknown => {
  try {
    task();
  } catch (error) {
    const { name, code, message } = error as Error & { code?: string };
    return name === 'SqliteError' ? code : `${name}: ${message}`;
  }
  return 'no error';
};

it('is the driver that this run is for', () => {
  expect(driver.name).toBe(EXPECTED);
});

describe('values', () => {
  let file: SqliteFile;
  beforeEach(() => {
    file = open();
    file.exec('CREATE TABLE kept (whole INTEGER, text TEXT, bytes BLOB) STRICT');
  });

  it.each<[string, unknown, unknown]>([
    ['whole', 0, 0],
    ['whole', -1, -1],
    ['whole', 2 ** 31, 2 ** 31],
    ['whole', 2 ** 53 - 1, 2 ** 53 - 1],
    ['whole', 1 - 2 ** 53, 1 - 2 ** 53],
    ['whole', 7n, 7],
    ['whole', null, null],
    ['whole', undefined, null],
    ['text', '', ''],
    ['text', "it's «grün» 鍵 \u{1F600}\n", "it's «grün» 鍵 \u{1F600}\n"],
    ['bytes', Buffer.from([0, 255, 92, 39]), Buffer.from([0, 255, 92, 39])],
    ['bytes', Buffer.alloc(0), Buffer.alloc(0)],
    ['bytes', new Uint8Array([9, 1, 2, 9]).subarray(1, 3), Buffer.from([1, 2])],
  ])('come back from a column of the kind %s: %s', (column, given, stored) => {
    run(file, `INSERT INTO kept (${column}) VALUES (?)`, given);
    // Strictly: a plain object, and a Buffer for bytes.
    expect(all(file, `SELECT ${column} AS value FROM kept`)).toStrictEqual([{ value: stored }]);
    expect([...file.prepare(`SELECT ${column} AS value FROM kept`).iterate([])]).toStrictEqual([{ value: stored }]);
  });

  it('are given at several places, and named by the row', () => {
    const sql = 'SELECT ? AS a, ? AS b, ? AS c, NULL AS d, 1.5 AS e';
    expect(all(file, sql, 'x', null, Buffer.from('y'))).toStrictEqual([
      { a: 'x', b: null, c: Buffer.from('y'), d: null, e: 1.5 },
    ]);
  });

  it.each([true, false, new Date(0), {}, [], { a: 1 }, () => 1, Symbol('x')])('of other kinds are refused: %s', (value) => {
    for (const parameters of [[value], ['text', value], [value, 'text']]) {
      const places = parameters.map(() => '(?)').join();
      expect(() => run(file, `INSERT INTO kept (text) VALUES ${places}`, ...parameters)).toThrow(TypeError);
    }
    expect(all(file, 'SELECT * FROM kept')).toEqual([]);
  });

  it.each(['9007199254740992', '-9007199254740992', '9007199254740993', '9223372036854775807', '-9223372036854775808'])(
    'beyond the whole numbers of JavaScript are refused, not rounded: %s',
    (number) => {
      file.exec(`INSERT INTO kept (whole) VALUES (1), (${number})`);
      const whole = file.prepare('SELECT whole FROM kept WHERE whole > ? OR whole < 0');
      for (const read of [() => whole.all([1]), () => [...whole.iterate([1])]])
        expect(read).toThrow(/RangeError|too large for JavaScript/);
      expect(all(file, 'SELECT whole = ? AS same FROM kept WHERE whole <> 1', BigInt(number))).toEqual([{ same: 1 }]);
    },
  );

  it('beyond 64 bits are refused', () => {
    expect(() => run(file, 'INSERT INTO kept (whole) VALUES (?)', 2n ** 63n)).toThrow(/too (large|big)/);
  });
});

describe('statements', () => {
  let file: SqliteFile;
  beforeEach(() => {
    file = open();
    file.exec('CREATE TABLE kept (id INTEGER PRIMARY KEY, text TEXT UNIQUE NOT NULL) STRICT');
  });

  it.each([
    ['SELECT 1', true],
    ['INSERT INTO kept VALUES (1, 2)', false],
    ['INSERT INTO kept VALUES (1, 2) RETURNING id', true],
    ['PRAGMA page_count', true],
    ['BEGIN IMMEDIATE', false],
    ['VACUUM', false],
    ['CREATE TABLE more (id INTEGER)', false],
  ])('%s returns rows: %s', (sql, reader) => {
    expect(file.prepare(sql).reader).toBe(reader);
  });

  it('count the rows that they changed', () => {
    expect(run(file, "INSERT INTO kept VALUES (5, 'a'), (9, 'b')")).toEqual({ changes: 2, lastInsertRowid: 9 });
    const changes = (sql: string) => Number(run(file, sql).changes);
    expect(changes("UPDATE kept SET text = text || '!'")).toBe(2);
    expect(changes("INSERT INTO kept VALUES (5, 'c') ON CONFLICT DO NOTHING")).toBe(0);
    expect(changes('DELETE FROM kept WHERE id = 7')).toBe(0);
    expect(changes('DELETE FROM kept')).toBe(2);
  });

  it('return rows of a change', () => {
    const insert = file.prepare('INSERT INTO kept VALUES (?, ?) RETURNING id, text');
    expect(insert.all([1, 'a'])).toStrictEqual([{ id: 1, text: 'a' }]);
    expect(insert.all([2, 'b'])).toStrictEqual([{ id: 2, text: 'b' }]);
  });

  it('are used again: after an error, after a change of the tables, and without the parameters of before', () => {
    const insert = file.prepare('INSERT INTO kept VALUES (?, ?)');
    const read = file.prepare('SELECT * FROM kept WHERE id = ?');
    insert.run([1, 'a']);
    expect(codeOf(() => insert.run([2, 'a']))).toBe('SQLITE_CONSTRAINT_UNIQUE');
    insert.run([2, 'b']);
    expect(read.all([2])).toEqual([{ id: 2, text: 'b' }]);
    expect(read.all([null])).toEqual([]);
    file.exec("ALTER TABLE kept ADD COLUMN more TEXT DEFAULT 'new'");
    expect(read.all([1])).toEqual([{ id: 1, text: 'a', more: 'new' }]);
  });

  it('may stop in the middle of their rows: the file takes other ones', () => {
    file.exec("INSERT INTO kept VALUES (1, 'a'), (2, 'b'), (3, 'c')");
    for (const row of file.prepare('SELECT id FROM kept ORDER BY id').iterate([])) {
      expect(row).toEqual({ id: 1 });
      break;
    }
    run(file, 'DELETE FROM kept');
    expect(all(file, 'SELECT * FROM kept')).toEqual([]);
  });
});

describe('errors have the names of SQLite', () => {
  it('where a constraint is broken, with its sentence and the error of the driver', () => {
    const file = open();
    file.exec('PRAGMA foreign_keys = ON');
    file.exec(
      'CREATE TABLE a (id INTEGER PRIMARY KEY, text TEXT UNIQUE NOT NULL CHECK (text <> ?1)) STRICT'.replace('?1', "'no'"),
    );
    file.exec("CREATE TABLE b (a INTEGER REFERENCES a (id)) STRICT; INSERT INTO a VALUES (1, 'x')");
    expect(codeOf(() => run(file, "INSERT INTO a VALUES (1, 'y')"))).toBe('SQLITE_CONSTRAINT_PRIMARYKEY');
    expect(codeOf(() => run(file, "INSERT INTO a VALUES (2, 'x')"))).toBe('SQLITE_CONSTRAINT_UNIQUE');
    expect(codeOf(() => run(file, 'INSERT INTO a VALUES (2, NULL)'))).toBe('SQLITE_CONSTRAINT_NOTNULL');
    expect(codeOf(() => run(file, "INSERT INTO a VALUES (2, 'no')"))).toBe('SQLITE_CONSTRAINT_CHECK');
    expect(codeOf(() => run(file, "INSERT INTO b VALUES ('word')"))).toBe('SQLITE_CONSTRAINT_DATATYPE');
    expect(codeOf(() => run(file, 'INSERT INTO b VALUES (7)'))).toBe('SQLITE_CONSTRAINT_FOREIGNKEY');
    expect(codeOf(() => all(file, "INSERT INTO a VALUES (2, 'x') RETURNING id"))).toBe('SQLITE_CONSTRAINT_UNIQUE');
    expect(codeOf(() => file.exec("INSERT INTO a VALUES (2, 'x')"))).toBe('SQLITE_CONSTRAINT_UNIQUE');
    expect(() => run(file, "INSERT INTO a VALUES (2, 'x')")).toThrow(
      expect.objectContaining({ message: 'UNIQUE constraint failed: a.text', cause: expect.any(Error) }),
    );
  });

  it('where the query is wrong', () => {
    const file = open();
    expect(codeOf(() => file.prepare('SELEC 1'))).toBe('SQLITE_ERROR');
    expect(codeOf(() => file.prepare('SELECT "no column"'))).toBe('SQLITE_ERROR');
    expect(codeOf(() => file.exec('SELECT * FROM missing'))).toBe('SQLITE_ERROR');
  });

  it('where another connection writes, or has written since this one began to read', () => {
    const [one, two] = [open(), open()];
    one.exec('PRAGMA journal_mode = WAL; CREATE TABLE kept (text TEXT) STRICT');
    one.exec('BEGIN IMMEDIATE');
    expect(codeOf(() => two.exec('BEGIN IMMEDIATE'))).toBe('SQLITE_BUSY');
    expect(codeOf(() => run(two, "INSERT INTO kept VALUES ('x')"))).toBe('SQLITE_BUSY');
    one.exec('ROLLBACK; BEGIN');
    all(one, 'SELECT * FROM kept');
    run(two, "INSERT INTO kept VALUES ('y')");
    expect(codeOf(() => run(one, "INSERT INTO kept VALUES ('z')"))).toBe('SQLITE_BUSY_SNAPSHOT');
    // The log cannot be emptied while `one` reads it.
    expect(all(two, 'PRAGMA wal_checkpoint(TRUNCATE)')).toMatchObject([{ busy: 1 }]);
    one.exec('ROLLBACK');
    expect(all(two, 'PRAGMA wal_checkpoint(TRUNCATE)')).toMatchObject([{ busy: 0 }]);
  });

  it('where the file is damaged, or was never a database', () => {
    writeFileSync(at('letter.db'), 'Dear reader. '.repeat(1000));
    expect(codeOf(() => all(open('letter.db'), 'SELECT * FROM sqlite_schema'))).toBe('SQLITE_NOTADB');
    const whole = open();
    whole.exec('CREATE TABLE kept (text TEXT) STRICT');
    run(whole, 'INSERT INTO kept VALUES (?)', 'x'.repeat(100_000));
    whole.close();
    opened.pop();
    const bytes = readFileSync(at('file.db'));
    writeFileSync(at('file.db'), bytes.fill(0x5a, 4096));
    expect(codeOf(() => all(open(), 'SELECT * FROM kept'))).toBe('SQLITE_CORRUPT');
  });

  it('where the file may not be written, or cannot be opened', () => {
    const file = open();
    file.exec('CREATE TABLE kept (text TEXT) STRICT; PRAGMA query_only = ON');
    expect(codeOf(() => run(file, "INSERT INTO kept VALUES ('x')"))).toBe('SQLITE_READONLY');
    mkdirSync(at('folder.db'));
    expect(codeOf(() => open('folder.db'))).toMatch(/^SQLITE_CANTOPEN/);
    expect(codeOf(() => driver.open(at('missing.db'), { busyMs: 0, mustExist: true }))).toMatch(/^SQLITE_CANTOPEN/);
    expect(existsSync(at('missing.db'))).toBe(false);
  });

  it('of all that its header defines', () => {
    const header = readFileSync(
      join(dirname(createRequire(import.meta.url).resolve('better-sqlite3/package.json')), 'deps/sqlite3/sqlite3.h'),
      'latin1',
    );
    const [primary = ''] = /#define SQLITE_OK [\s\S]*?#define SQLITE_NOTICE /.exec(header) ?? [];
    const number = new Map<string, number>();
    for (const [, name = '', value] of primary.matchAll(/^#define (SQLITE_[A-Z]+) +(\d+) /gm)) number.set(name, Number(value));
    for (const [, name = '', of = '', extended] of header.matchAll(/^#define (\w+) +\((SQLITE_[A-Z]+) *\| *\((\d+)<<8\)\)/gm))
      if (number.has(of)) number.set(name, (number.get(of) ?? 0) | (Number(extended) << 8));
    const errors = [...number].filter(([, value]) => (value & 0xff) !== 0);
    expect(errors.length).toBeGreaterThan(95);
    for (const [name, value] of errors) expect(errorCodeOf(value)).toBe(name);
    expect(errorCodeOf(19 | (99 << 8))).toBe('SQLITE_CONSTRAINT');
    expect(errorCodeOf(99)).toBe('SQLITE_UNKNOWN_99');
  });
});

describe('a transaction', () => {
  let file: SqliteFile;
  beforeEach(() => {
    file = open();
    file.exec('CREATE TABLE kept (text TEXT UNIQUE) STRICT');
  });

  it('is known to run until it ends', () => {
    expect(file.inTransaction).toBe(false);
    file.exec('BEGIN');
    expect(file.inTransaction).toBe(true);
    file.exec('COMMIT');
    expect(file.inTransaction).toBe(false);
  });

  it('goes on after a statement that failed', () => {
    file.exec("BEGIN IMMEDIATE; INSERT INTO kept VALUES ('a')");
    expect(codeOf(() => run(file, "INSERT INTO kept VALUES ('a')"))).toBe('SQLITE_CONSTRAINT_UNIQUE');
    expect(file.inTransaction).toBe(true);
    file.exec('COMMIT');
    expect(all(file, 'SELECT * FROM kept')).toEqual([{ text: 'a' }]);
  });

  it('is known to have ended where SQLite ended it', () => {
    file.exec("BEGIN; INSERT INTO kept VALUES ('a')");
    expect(codeOf(() => file.exec("INSERT OR ROLLBACK INTO kept VALUES ('a')"))).toBe('SQLITE_CONSTRAINT_UNIQUE');
    expect(file.inTransaction).toBe(false);
    expect(all(file, 'SELECT * FROM kept')).toEqual([]);
  });

  it('names a full disk, and leaves nothing', () => {
    file.exec('PRAGMA max_page_count = 5; BEGIN');
    expect(codeOf(() => run(file, 'INSERT INTO kept VALUES (?)', 'x'.repeat(100_000)))).toBe('SQLITE_FULL');
    if (file.inTransaction) file.exec('ROLLBACK');
    else expect(codeOf(() => file.exec('ROLLBACK'))).toBe('SQLITE_ERROR');
    expect(all(file, 'SELECT * FROM kept')).toEqual([]);
  });
});

describe('a file', () => {
  it.each(['a ?mode=ro&x#y.db', '100%25.db', 'file:grün.db'])('has the name that was given: %s', (name) => {
    open(name).exec('CREATE TABLE kept (text TEXT)');
    expect(readFileSync(at(name)).subarray(0, 15).toString()).toBe('SQLite format 3');
    const again = driver.open(at(name), { busyMs: 0, mustExist: true });
    opened.push(again);
    again.exec("INSERT INTO kept VALUES ('x')");
    expect(all(again, 'SELECT * FROM kept')).toEqual([{ text: 'x' }]);
  });

  it('waits as long as it was told', () => {
    expect(all(open('file.db', 1234), 'PRAGMA busy_timeout')).toEqual([{ timeout: 1234 }]);
  });

  it('is released when it is closed, with the log beside it, though statements are left', () => {
    const file = open();
    file.exec('PRAGMA journal_mode = WAL; CREATE TABLE kept (text TEXT)');
    const left = file.prepare('SELECT * FROM kept');
    left.all([]);
    expect(existsSync(at('file.db-wal'))).toBe(true);
    file.close();
    opened.pop();
    expect(existsSync(at('file.db-wal'))).toBe(false);
  });
});

describe('the choice', () => {
  const missing = async (): Promise<SqliteDriver> => {
    throw new Error('better-sqlite3 is not installed');
  };

  it('takes the first driver that is there', async () => {
    const other = { ...driver };
    expect(await chooseDriver([async () => driver, async () => other])).toBe(driver);
    expect(await chooseDriver([missing, async () => other])).toBe(other);
  });

  it('without better-sqlite3 is that of Node 24 or newer; an older Node is told what to do', async () => {
    const chosen = await chooseDriver([missing, loadNodeSqlite]).catch((error) => error);
    if (Number.parseInt(process.versions.node, 10) >= 24) expect(chosen.name).toBe('node:sqlite');
    else
      expect(chosen).toMatchObject({
        code: 'NATIVE_UNAVAILABLE',
        message: expect.stringMatching(
          /better-sqlite3 is not installed, and Node [\d.]+ brings no driver.*Node 24 or newer.*install better-sqlite3.*DATABASE_URL/,
        ),
      });
  });
});
