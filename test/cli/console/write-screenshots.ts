import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { startConsole } from "../../../cli/console/server.ts";
import { withOperator } from "../../../cli/operator.ts";
import { LOCAL_FOLDER } from "../../../cli/postgres/local-database.ts";
import { launchBrowser } from "../../support/browser.ts";

/** Writes the pictures of the console in docs/, from the demo data of `npm start`. */
const folder = join(import.meta.dirname, "../../../docs/images");
await mkdir(folder, { recursive: true });
await withOperator({ folder: LOCAL_FOLDER }, async (operator) => {
  const page = await startConsole(operator, 0);
  const browser = await launchBrowser();
  const view = await browser.newPage({ viewport: { width: 900, height: 1000 } });
  await view.goto(page.url);
  await view.screenshot({ path: join(folder, "console-overview.png") });
  await view.goto(new URL("/leads?text=example.net", page.url).href);
  await view.getByRole("main").getByRole("link").first().click();
  await view.screenshot({ path: join(folder, "console-lead.png") });
  await view.goto(new URL("/approvals", page.url).href);
  await view.getByRole("main").getByRole("link").first().click();
  await view.screenshot({ path: join(folder, "console-approval.png") });
  await browser.close();
  await page.close();
});
