import ora, { type Ora } from "ora";
import { tellProgress } from "./progress.ts";

/** What is going on, for a person: one line that changes on a terminal, plain lines elsewhere. On standard error. */
export class Spinner {
  readonly #ora: Ora | undefined;
  #last = "";

  constructor() {
    if (process.stderr.isTTY) this.#ora = ora({ stream: process.stderr, discardStdin: false });
  }

  /** `detail`, such as how far it has come, is for terminals alone. */
  tell(line: string, detail = ""): void {
    if (this.#ora) this.#ora.start(`${line}${detail}`);
    else if (line !== this.#last) tellProgress(line);
    this.#last = line;
  }

  stop(): void {
    this.#ora?.stop();
  }
}
