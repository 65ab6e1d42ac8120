/** Validates requests and answers against the OpenAPI document that a server serves. */
import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js';
import formats from 'ajv-formats';
import type { LightMyRequestResponse } from 'fastify';
import type { TestServer } from './server.js';

/** As much of JSON Schema as the contract uses. */
export interface Schema {
  readonly type?: string;
  readonly const?: unknown;
  readonly enum?: readonly unknown[];
  readonly anyOf?: readonly Schema[];
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly required?: readonly string[];
  readonly items?: Schema;
  readonly pattern?: string;
  readonly format?: string;
  readonly minLength?: number;
  readonly maxLength?: number;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly minItems?: number;
  readonly default?: unknown;
}
interface Content {
  readonly content?: Readonly<Record<string, { readonly schema: Schema }>>;
}
export interface Operation {
  readonly operationId: string;
  readonly parameters?: readonly {
    readonly in: string;
    readonly name: string;
    readonly required?: boolean;
    readonly schema: Schema;
  }[];
  readonly requestBody?: Content & { readonly required?: boolean };
  readonly responses: Readonly<Record<string, Content>>;
  readonly security?: readonly unknown[];
}
export interface DocumentedOperation extends Operation {
  readonly method: string;
  /** `{name}` stands for a parameter. */
  readonly path: string;
}

/** Strict: members that the document does not name are refused. */
export class OpenApi {
  readonly operations: readonly DocumentedOperation[];
  readonly #ajv = formats.default(new Ajv2020({ strict: false, allErrors: true }));
  readonly #compiled = new Map<string, ValidateFunction>();

  constructor(document: { readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>> }) {
    this.operations = Object.entries(document.paths).flatMap(([path, methods]) =>
      Object.entries(methods).map(([method, operation]) => ({ ...operation, method: method.toUpperCase(), path })),
    );
  }

  static async of(server: TestServer): Promise<OpenApi> {
    return new OpenApi((await server.app.inject({ url: '/docs/json' })).json());
  }

  operation(id: string): DocumentedOperation {
    const found = this.operations.find(({ operationId }) => operationId === id);
    if (!found) throw new Error(`the document has no operation ${id}`);
    return found;
  }

  /** The errors of a JSON request body; undefined where it matches the document. */
  bodyFault(id: string, body: unknown): string | undefined {
    const schema = this.operation(id).requestBody?.content?.['application/json']?.schema;
    return schema && this.#fault(`${id} body`, schema, body);
  }

  /** The errors of an answer; undefined where it matches the document. */
  answerFault(id: string, answer: LightMyRequestResponse): string | undefined {
    const documented = this.operation(id).responses[String(answer.statusCode)];
    if (!documented) return `status ${answer.statusCode} is not documented`;
    const schema = documented.content?.['application/json']?.schema;
    if (!String(answer.headers['content-type']).startsWith('application/json')) return undefined;
    return schema && this.#fault(`${id} ${answer.statusCode}`, schema, answer.json());
  }

  #fault(key: string, schema: Schema, value: unknown): string | undefined {
    let validate = this.#compiled.get(key);
    if (!validate) {
      validate = this.#ajv.compile(schema);
      this.#compiled.set(key, validate);
    }
    return validate(value) ? undefined : this.#ajv.errorsText(validate.errors);
  }
}
