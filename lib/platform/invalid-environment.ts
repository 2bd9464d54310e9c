/** The environment lacks settings or has invalid ones. `faults` name each setting and its fault, never a value. */
export class InvalidEnvironment extends Error {
  override readonly name = "InvalidEnvironment";
  readonly faults: readonly string[];
  constructor(faults: readonly string[]) {
    super(`the environment is not valid:\n${faults.map((fault) => `  ${fault}`).join("\n")}`);
    this.faults = faults;
  }
}
