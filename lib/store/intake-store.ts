import type { IntakePorts } from "../run/intake/apply-messages.ts";
import type { Database } from "./connect.ts";
import { applyFact } from "./facts/apply-fact.ts";
import { schemaGate } from "./schema-gate.ts";
import { onPool } from "./sql.ts";

/** The intake's ports on a database. Database errors are translated to those of `ports.ts`. */
export function intakeStore(database: Pick<Database, "pool">): Pick<IntakePorts, "missingSchema" | "apply"> {
  const statements = onPool(database.pool);
  return {
    missingSchema: schemaGate(database),
    apply: (fact) => applyFact(statements, fact),
  };
}
