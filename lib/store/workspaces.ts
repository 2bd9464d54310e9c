import * as z from "zod";
import type { Db } from "./connect.ts";

export interface NamedWorkspace {
  readonly id: string;
  readonly name: string;
}

/** The workspaces with that id or name, or all. Names are not unique. Returns at most 50, sorted by name. */
export function findWorkspaces(db: Db, idOrName?: string): Promise<readonly NamedWorkspace[]> {
  const byId = z.guid().safeParse(idOrName).success;
  const where = idOrName === undefined ? {} : byId ? { id: idOrName } : { name: idOrName };
  return db.workspace.findMany({ where, select: { id: true, name: true }, orderBy: { name: "asc" }, take: 50 });
}
