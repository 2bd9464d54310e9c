import sparticuz from "@sparticuz/chromium";
import { type Browser, chromium } from "playwright-core";

/** Starts Chromium: the one of CHROMIUM_PATH, or that of the package, which runs on Linux on x64. */
export async function launchBrowser(): Promise<Browser> {
  const installed = process.env["CHROMIUM_PATH"];
  if (installed) return await chromium.launch({ executablePath: installed, args: ["--no-sandbox"] });
  if (process.platform !== "linux" || process.arch !== "x64") {
    throw new Error("set CHROMIUM_PATH to an installed Chromium: the package has one for Linux on x64 only");
  }
  return await chromium.launch({ executablePath: await sparticuz.executablePath(), args: sparticuz.args });
}
