import ora, { type Ora } from "ora";
import { tellProgress } from "./progress.ts";

/** What is going on, for a person: one line that changes on a terminal, plain lines elsewhere. On standard error. */
export class Spinner {
  readonly #ora: Ora | undefined;
  #last = "";

  constructor() {
    // A terminal that says it is no column wide would keep ora clearing lines for ever.
    if (process.stderr.isTTY && process.stderr.columns > 0)
      this.#ora = ora({ stream: process.stderr, discardStdin: false });
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
