/*
 * A browser for tests that are written elsewhere: each line of standard input is a command {id, do, …}, each line of standard
 * output its answer {id, value} or {id, error}. Ends with its input. CHROMIUM is the browser, NODE_MODULES where playwright-core is.
 */
import {createRequire} from "node:module";
import {createInterface} from "node:readline";

const require = createRequire(`${process.env.NODE_MODULES}/`);
const {chromium} = require("playwright-core");

const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM, chromiumSandbox: process.getuid() !== 0,
  args: ["--disable-background-networking", "--disable-component-update", "--no-first-run", "--disable-gpu"],
});

let page = null;
let origin = null;
let noted = {console: [], elsewhere: [], failed: []};

/* What no page of ours may do is written down: to say something on the console, or to ask anybody else. */
async function newPage() {
  const context = await browser.newContext({reducedMotion: "reduce", locale: "en-GB"});
  const made = await context.newPage();
  made.setDefaultTimeout(10000);
  made.on("console", (message) => {
    if (["error", "warning"].includes(message.type())) noted.console.push(message.text());
  });
  made.on("pageerror", (error) => noted.console.push(String(error)));
  context.on("request", (request) => {
    if (new URL(request.url()).origin !== origin) noted.elsewhere.push(request.url());
  });
  return made;
}

const commands = {
  async open({url, width = 1280, height = 800, dark = false}) {
    page ??= await newPage();
    await page.goto("about:blank");
    await page.setViewportSize({width, height});
    await page.emulateMedia({colorScheme: dark ? "dark" : "light"});
    noted = {console: [], elsewhere: [], failed: []};
    origin = new URL(url).origin;
    const answer = await page.goto(url);
    return answer.status();
  },
  evaluate: ({code, arg}) => page.evaluate(`(${code})(${JSON.stringify(arg ?? null)})`),
  /* Asked from here: what playwright has for it needs eval, which the page's policy does not allow. */
  async wait({code, arg, ms}) {
    const end = performance.now() + ms;
    while (!(await commands.evaluate({code, arg}))) {
      if (performance.now() > end) throw new Error(`not within ${ms} ms`);
      await new Promise((resolve) => setTimeout(resolve, 30));
    }
  },
  click: ({selector}) => page.click(selector),
  press: ({key}) => page.keyboard.press(key),
  type: ({text}) => page.keyboard.type(text),
  scheme: ({dark}) => page.emulateMedia({colorScheme: dark ? "dark" : "light"}),
  resize: ({width, height}) => page.setViewportSize({width, height}),
  shot: ({path, whole = false}) => page.screenshot({path, fullPage: whole}).then(() => path),
  accessibility: () => page.locator("body").ariaSnapshot(),
  noted: () => noted,
};

for await (const line of createInterface({input: process.stdin})) {
  const command = JSON.parse(line);
  let answer;
  try {
    answer = {id: command.id, value: (await commands[command.do](command)) ?? null};
  } catch (error) {
    answer = {id: command.id, error: String(error)};
  }
  process.stdout.write(`${JSON.stringify(answer)}\n`);
}
await browser.close();
