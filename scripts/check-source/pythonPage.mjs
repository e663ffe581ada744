/**
 * `docs/python.md` names every public method of the official SDK, in the section of its class, every class, and every module
 * of the cookbook. `docs/python-names.json` has the names; `interop/names.py` writes it.
 */
import { readFileSync } from "node:fs"
import { join } from "node:path"
import { root } from "./sources.mjs"

const page = join(root, "docs", "python.md")

/** The code spans of a text, each without what follows a parenthesis. */
const spansOf = (text) => new Set(Array.from(text.matchAll(/`([\w.]+)[^`]*`/g), ([, span]) => span))

/** The sections of the page by their headings, such as `ServiceClient`. */
const sectionsOf = (text) =>
  new Map(
    text
      .split(/^### /m)
      .slice(1)
      .map((section) => [/^`?(\w+)/.exec(section)?.[1], spansOf(section)])
  )

export const check = (report) => {
  const { cookbook, sdk } = JSON.parse(readFileSync(join(root, "docs", "python-names.json"), "utf8"))
  const text = readFileSync(page, "utf8")
  const sections = sectionsOf(text)
  const all = spansOf(text)
  for (const version of [sdk.version, cookbook.version]) {
    if (!text.includes(version)) report(page, 0, `does not say that it is about ${version}`)
  }
  for (const [name, methods] of Object.entries(sdk.methods)) {
    const spans = sections.get(name) ?? new Set()
    for (const method of methods) if (!spans.has(method)) report(page, 0, `has no ${method} in the section ${name}`)
  }
  for (const name of sdk.classes) if (!all.has(name)) report(page, 0, `does not name the class ${name}`)
  for (const name of cookbook.modules) if (!all.has(name)) report(page, 0, `does not name the module ${name}`)
}
