import type { Stats } from "node:fs";
import { constants, type FileHandle, open } from "node:fs/promises";

type OpenedFile = FileHandle | { readonly fault: string };

/**
 * Opens a regular file for reading, without waiting for the writer of a FIFO. Returns the reason if it does not exist,
 * is of another kind, or may not be read.
 */
export async function openFile(path: string): Promise<OpenedFile> {
  // Windows has no O_NONBLOCK and no FIFOs.
  const flags = constants.O_RDONLY | (constants.O_NONBLOCK ?? 0);
  const opened = await open(path, flags).catch((cause: NodeJS.ErrnoException) => ({
    fault: REASONS[cause.code ?? ""] ?? cause.code ?? String(cause),
  }));
  if ("fault" in opened) return opened;
  const fault = faultOf(await opened.stat());
  if (fault === undefined) return opened;
  await opened.close();
  return { fault };
}

function faultOf(stats: Stats): string | undefined {
  if (stats.isFile()) return undefined;
  return stats.isDirectory() ? "it is a folder" : "it is a pipe or a device; save it to a file first";
}

const REASONS: Readonly<Record<string, string>> = {
  ENOENT: "the file does not exist",
  EISDIR: "it is a folder",
  EACCES: "permission denied",
  ENXIO: "it is a socket",
};
