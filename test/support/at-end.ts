import { afterAll } from "@jest/globals";

const releases: (() => unknown)[] = [];

/** Releases a resource after the last test of this file. The newest resource is released first. */
export function atEnd(release: () => unknown): void {
  releases.push(release);
}

afterAll(async () => {
  for (const release of releases.reverse()) await release();
});
