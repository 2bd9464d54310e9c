import { createRequire } from "node:module";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { installPackages } from "../install-packages.ts";
import { FOLDER } from "../server.ts";

/** Job queues to compare with. The bench installs them, so that they are no dependency of the project. */
const PEERS = { "graphile-worker": "0.18.0", "pg-boss": "12.38.0" } as const;
export type PeerName = keyof typeof PEERS;

const PEERS_FOLDER = join(FOLDER, "peers");

/** `graphile-worker 0.18.0` */
export const peerTitle = (name: PeerName): string => `${name} ${PEERS[name]}`;

/** Installs missing peers. Throws a Problem if npm fails. */
export const installPeers = (): Promise<void> => installPackages(PEERS_FOLDER, PEERS);

/** Imports an installed peer. The caller declares the types that it uses. */
export async function importPeer<Module>(name: PeerName): Promise<Module> {
  const file = createRequire(join(PEERS_FOLDER, "package.json")).resolve(name);
  return (await import(pathToFileURL(file).href)) as Module;
}
