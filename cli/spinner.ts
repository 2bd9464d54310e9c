import ora, { type Ora } from "ora";
import { showProgress } from "./progress.ts";

/** Shows progress on standard error: one changing line on a terminal, plain lines elsewhere. */
export class Spinner {
  readonly #ora: Ora | undefined;
  #last = "";

  constructor() {
    // With a reported width of 0 columns, ora would clear lines forever.
    if (process.stderr.isTTY && process.stderr.columns > 0)
      this.#ora = ora({ stream: process.stderr, discardStdin: false });
  }

  /** `detail`, such as a count, is shown on terminals only. */
  tell(line: string, detail = ""): void {
    if (this.#ora) this.#ora.start(`${line}${detail}`);
    else if (line !== this.#last) showProgress(line);
    this.#last = line;
  }

  stop(): void {
    this.#ora?.stop();
  }
}
