import { readFile } from "node:fs/promises";
// Renamed, because bundles get a banner that declares `createRequire`.
import { createRequire as createModuleRequire } from "node:module";
import { dirname, join } from "node:path";
import { PrismaPg } from "@prisma/adapter-pg";
import { bindMigrationAwareSqlAdapterFactory, DriverAdapterError } from "@prisma/driver-adapter-utils";
import * as bindings from "@prisma/schema-engine-wasm/schema_engine_bg";
import pg from "pg";

export type SchemaEngine = bindings.SchemaEngine;

/** Observes every script: before it is sent, and with the database's error if it fails. */
export interface ScriptObserver {
  sending(script: string): void;
  failed(script: string, error: unknown): void;
}

/**
 * Prisma's schema engine on one pool. The caller ends the pool and frees the engine.
 * @param engineFile the engine's `.wasm` file; by default that of the installed package
 */
export async function openSchemaEngine(
  pool: pg.Pool,
  observer: ScriptObserver,
  engineFile?: string,
): Promise<SchemaEngine> {
  await instantiateOnce(engineFile);
  const adapter = bindMigrationAwareSqlAdapterFactory(new WholeScripts(pool, observer));
  return bindings.SchemaEngine.new({ datamodels: undefined }, () => undefined, adapter);
}

// Part of the runtime, but TypeScript declares it only with the DOM.
declare const WebAssembly: {
  instantiate(file: Uint8Array, imports: object): Promise<{ instance: { exports: Record<string, unknown> } }>;
};

let instantiated: Promise<void> | undefined;

function instantiateOnce(engineFile?: string): Promise<void> {
  instantiated ??= instantiate(engineFile ?? installedEngineFile());
  return instantiated;
}

async function instantiate(engineFile: string): Promise<void> {
  const imports = { "./schema_engine_bg.js": { ...bindings, ...unreferencedTimers() } };
  const { instance } = await WebAssembly.instantiate(await readFile(engineFile), imports);
  bindings.__wbg_set_wasm(instance.exports);
  (instance.exports["__wbindgen_start"] as () => void)();
}

/** The engine sets a ten-second timer around its lock and never clears it, which would delay the process exit. */
function unreferencedTimers(): Record<string, unknown> {
  const names = Object.keys(bindings).filter((name) => name.startsWith("__wbg_setTimeout_"));
  const setUnreferenced = (callback: () => void, delayMs: number) => setTimeout(callback, delayMs >>> 0).unref();
  return Object.fromEntries(names.map((name) => [name, setUnreferenced]));
}

function installedEngineFile(): string {
  const entry = createModuleRequire(import.meta.url).resolve("@prisma/schema-engine-wasm");
  return join(dirname(entry), "schema_engine_bg.wasm");
}

/**
 * The engine's own lock, which is skipped: a transaction pooler would keep it. `underMigrationLock` holds the same key.
 */
const SESSION_LOCK = /^SELECT pg_advisory_lock\(/;

/**
 * Sends a script as one query, so that the server runs it in one transaction. Prisma's adapter splits scripts at every
 * semicolon, even inside function bodies. Takes no lock.
 */
class WholeScripts extends PrismaPg {
  readonly #pool: pg.Pool;
  readonly #observer: ScriptObserver;

  constructor(pool: pg.Pool, observer: ScriptObserver) {
    super(pool);
    this.#pool = pool;
    this.#observer = observer;
  }

  override async connect(): ReturnType<PrismaPg["connect"]> {
    const adapter = await super.connect();
    adapter.executeScript = (script) => this.#send(script);
    const execute = adapter.executeRaw.bind(adapter);
    adapter.executeRaw = (query) => (SESSION_LOCK.test(query.sql) ? Promise.resolve(0) : execute(query));
    return adapter;
  }

  async #send(script: string): Promise<void> {
    this.#observer.sending(script);
    try {
      await this.#pool.query(script);
    } catch (error) {
      this.#observer.failed(script, error);
      throw error instanceof pg.DatabaseError ? new DriverAdapterError(payloadOf(error, script)) : error;
    }
  }
}

/** The error that the engine stores in the history, with the line in the script, which the engine does not add. */
function payloadOf(error: pg.DatabaseError, script: string): DriverAdapterError["cause"] {
  return {
    kind: "postgres",
    code: error.code ?? "XX000",
    severity: error.severity ?? "ERROR",
    message: describeScriptError(error, script),
    detail: error.detail,
    column: error.column,
    hint: error.hint,
  };
}

/** The database's own message, with its SQLSTATE and the line of the script. */
export function describeScriptError(error: pg.DatabaseError, script: string): string {
  const line = error.position ? `, line ${script.slice(0, Number(error.position)).split("\n").length}` : "";
  return `${error.message} (SQLSTATE ${error.code}${line})`;
}
