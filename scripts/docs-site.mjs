/**
 * Builds the site of the documentation: `npm run docs`, into `build/site/dist`; `-- --dev` serves it at
 * http://localhost:5173 while pages are edited. VitePress and TypeDoc are installed into `build/site/tool` first.
 *
 * The pages are those of `docs/` and the READMEs, as they are in the repository. What is different there:
 *
 * - links to sources lead to the repository, links between pages to pages of the site
 * - a module in a code span (`Supervised.run`) is a link to the reference, which TypeDoc makes of the docstrings; each module
 *   of the reference lists the pages that name it
 *
 * `-- --pages` leaves out the reference, which takes most of the time.
 */
import { spawnSync } from "node:child_process"
import { cpSync, existsSync, mkdirSync, readFileSync, readdirSync, rmSync, symlinkSync, writeFileSync } from "node:fs"
import { basename, dirname, join, relative, resolve } from "node:path"
import { filesBelow, packages, root } from "./check-source/sources.mjs"

const site = join(root, "build", "site")
const tool = join(site, "tool")
const pages = join(site, "pages")
const repository = "https://github.com/effect-tinker/effect-tinker/tree/main/"

const versions = ["vitepress@1.6.4", "typedoc@0.28.20", "typedoc-plugin-markdown@4.14.1", "typescript@5.9.3"]

const asked = (flag) => process.argv.includes(flag)

const execute = (command, args, cwd) => {
  const shell = process.platform === "win32"
  const { status } = spawnSync(command, args, { cwd, shell, stdio: "inherit" })
  if (status !== 0) throw new Error(`${command} ${args[0]} failed`)
}

const install = () => {
  if (existsSync(join(tool, "node_modules", "vitepress")) && existsSync(join(tool, "node_modules", "typedoc"))) return
  mkdirSync(tool, { recursive: true })
  writeFileSync(join(tool, "package.json"), '{ "private": true, "type": "module" }\n')
  execute("npm", ["install", "--no-audit", "--no-fund", ...versions], tool)
}

/** The public modules by their names, each with its package; a name that two packages have stands for neither. */
const modules = new Map()
for (const { directory, name } of packages) {
  for (const file of readdirSync(join(directory, "src"))) {
    const module = /^([A-Z]\w*)\.ts$/.exec(file)?.[1]
    if (module !== undefined) modules.set(module, modules.has(module) ? undefined : name)
  }
}

/** Where a Markdown file of the repository stands in the site, if it is a page. */
const placeOf = (path) => {
  const [first, second, ...rest] = relative(root, path).split("/")
  if (!path.endsWith(".md")) return undefined
  if (first === "docs") return second === "README.md" ? "index.md" : [second, ...rest].join("/")
  if (first === "packages" && rest.join("/") === "README.md") return `packages/${second}.md`
  if (["CONTRIBUTING.md", "SECURITY.md"].includes(first)) return first.toLowerCase()
  return first === "examples" && second === "README.md" ? "examples.md" : undefined
}

const sources = () =>
  [
    ...filesBelow(join(root, "docs"), [".md"]),
    ...packages.map(({ directory }) => join(directory, "README.md")),
    ...["CONTRIBUTING.md", "SECURITY.md", "examples/README.md"].map((file) => join(root, file))
  ].filter((path) => existsSync(path))

/** The page of a link's target: the README of a directory stands for it. */
const pageOf = (target) =>
  placeOf(target) ?? (existsSync(join(target, "README.md")) ? placeOf(join(target, "README.md")) : undefined)

const withLinks = (text, path, place) =>
  text.replace(/\]\(([^)#\s]*)(#[^)]*)?\)/g, (all, link, anchor = "") => {
    if (link === "" || /^[a-z]+:/.test(link)) return all
    const target = resolve(dirname(path), link)
    const page = pageOf(target)
    if (page === undefined) return `](${repository}${relative(root, target)}${anchor})`
    return `](${relative(dirname(place), page) || basename(page)}${anchor})`
  })

/** The lines of a page that are prose, changed; code, headings and comments stay. */
const changeProse = (text, change) => {
  let inCode = false
  return text
    .split("\n")
    .map((line) => {
      if (/^\s*```/.test(line)) inCode = !inCode
      return inCode || /^(?:#|<!--|\s*```)/.test(line) ? line : change(line)
    })
    .join("\n")
}

/** Links modules that code spans name to the reference, and notes which. */
const withReference = (text, place, named) =>
  changeProse(text, (line) =>
    line.replace(/(?<!\[)`((?:@effect-tinker\/\w+\/)?([A-Z]\w*))(\.\w+)?`(?!\])/g, (span, _, module) => {
      const owner = modules.get(module)
      if (owner === undefined) return span
      named.set(module, new Set([...(named.get(module) ?? []), place]))
      return `[${span}](${relative(dirname(place), `api/${owner}/${module}.md`)})`
    })
  )

/** Vue would read braces and tags outside of code. */
const forVue = (text) => changeProse(text, (line) => line.replaceAll("{{", "&#123;&#123;").replace(/<!--.*?-->/g, ""))

const titleOf = (text) => /^# (.*)$/m.exec(text)?.[1] ?? ""

const writePages = () => {
  const named = new Map()
  const titles = new Map()
  for (const path of sources()) {
    const place = placeOf(path)
    const text = readFileSync(path, "utf8")
    titles.set(place, titleOf(text))
    const linked = withLinks(text, path, place)
    const written = forVue(asked("--pages") ? linked : withReference(linked, place, named))
    mkdirSync(dirname(join(pages, place)), { recursive: true })
    writeFileSync(join(pages, place), written)
  }
  return { named, titles }
}

/** The reference of all modules, a page each. */
const writeReference = () => {
  const out = join(pages, "api")
  for (const { directory, name } of packages) {
    const entries = readdirSync(join(directory, "src")).filter((file) => /^[A-Z]\w*\.ts$/.test(file))
    const options = {
      entryPoints: entries.map((file) => join(directory, "src", file)),
      tsconfig: join(directory, "tsconfig.src.json"),
      plugin: ["typedoc-plugin-markdown"],
      out: join(out, name),
      router: "module",
      name: `@effect-tinker/${name}`,
      readme: "none",
      entryFileName: "index",
      excludeInternal: true,
      excludePrivate: true,
      excludeExternals: true,
      hideBreadcrumbs: true,
      hidePageHeader: true,
      useCodeBlocks: true,
      expandObjects: false,
      parametersFormat: "table",
      interfacePropertiesFormat: "list",
      groupOrder: ["*"],
      navigation: false,
      skipErrorChecking: true,
      excludeTags: ["@since"],
      disableGit: true,
      sourceLinkTemplate: `${repository}packages/${name}/src/{path}#L{line}`,
      logLevel: "Error"
    }
    const file = join(site, `typedoc.${name}.json`)
    writeFileSync(file, JSON.stringify(options, undefined, 2))
    execute(process.execPath, [join(tool, "node_modules/typedoc/bin/typedoc"), "--options", file], root)
  }
}

/** What the docstring of a module says, which TypeDoc leaves out. */
const docstringOf = (path) => {
  const comment = /^\/\*\*\n([\s\S]*?)\n \*\/\n/.exec(readFileSync(path, "utf8"))?.[1] ?? ""
  const lines = comment.split("\n").map((line) => line.replace(/^ \* ?/, ""))
  return lines
    .filter((line) => !line.startsWith("@since"))
    .join("\n")
    .trim()
}

/** Adds to each module of the reference its docstring, how it is imported, and the pages that name it. */
const completeReference = ({ named, titles }) => {
  for (const { directory, name } of packages) {
    for (const file of readdirSync(join(directory, "src"))) {
      const module = /^([A-Z]\w*)\.ts$/.exec(file)?.[1]
      const page = join(pages, "api", name, `${module}.md`)
      if (module === undefined || !existsSync(page)) continue
      const places = modules.get(module) === name ? [...(named.get(module) ?? [])] : []
      const links = places.map((place) => `[${titles.get(place)}](../../${place})`)
      const head = [
        `\`\`\`ts\nimport * as ${module} from "@effect-tinker/${name}/${module}"\n\`\`\``,
        docstringOf(join(directory, "src", file)),
        links.length > 0 ? `In the guides: ${links.join(", ")}` : ""
      ].filter((part) => part !== "")
      const text = readFileSync(page, "utf8")
      writeFileSync(page, forVue(text.replace(/^(# .*\n)/, () => `# ${module}\n\n${head.join("\n\n")}\n`)))
    }
  }
}

/** The groups of the index, as the navigation beside each page. */
const sidebarOf = () => {
  const index = readFileSync(join(root, "docs", "README.md"), "utf8")
  const groups = []
  for (const line of index.split("\n")) {
    const heading = /^\| ([^[|`]+) \| \|$/.exec(line)?.[1]
    if (heading !== undefined) groups.push({ text: heading[0].toUpperCase() + heading.slice(1), items: [] })
    for (const [, text, link] of line.matchAll(/\[([^\]]+)\]\(([^)]+)\)/g)) {
      const place = line.startsWith("|") ? pageOf(resolve(join(root, "docs"), link)) : undefined
      if (place !== undefined)
        groups.at(-1)?.items.push({ text: text.replaceAll("`", ""), link: `/${place.replace(/\.md$/, "")}` })
    }
  }
  const all = packages.map(({ name }) => ({ text: name, link: `/packages/${name}` }))
  return [...groups, { text: "Packages", collapsed: true, items: all }]
}

const referenceSidebar = () =>
  packages.map(({ directory, name }) => ({
    text: `@effect-tinker/${name}`,
    collapsed: true,
    items: readdirSync(join(directory, "src"))
      .filter((file) => /^[A-Z]\w*\.ts$/.test(file))
      .map((file) => ({ text: file.slice(0, -3), link: `/api/${name}/${file.slice(0, -3)}` }))
  }))

const writeConfiguration = () => {
  const config = {
    title: "effect-tinker",
    description: "Fine-tuning with Tinker, for TypeScript and Effect",
    base: process.env["DOCS_BASE"] ?? "/",
    cleanUrls: true,
    outDir: join(site, "dist"),
    cacheDir: join(site, "cache"),
    // the reference refers to types of other packages, which have no pages here
    ignoreDeadLinks: asked("--pages") ? [/\/api\//] : [/^(?:\.\/)?(?:\.\.\/)*api\//, /^\.\/?[A-Z]/],
    themeConfig: {
      search: { provider: "local" },
      nav: [
        { text: "Guide", link: "/getting-started" },
        ...(asked("--pages") ? [] : [{ text: "Reference", link: `/api/client/ServiceClient` }]),
        { text: "Examples", link: "/examples" }
      ],
      sidebar: { "/api/": referenceSidebar(), "/": sidebarOf() },
      outline: [2, 3],
      socialLinks: [{ icon: "github", link: repository }]
    }
  }
  mkdirSync(join(pages, ".vitepress"), { recursive: true })
  writeFileSync(
    join(pages, ".vitepress", "config.mjs"),
    `export default ${JSON.stringify(config, undefined, 2).replace(/"ignoreDeadLinks": \[[^\]]*\]/, () => `"ignoreDeadLinks": [${config.ignoreDeadLinks.join(", ")}]`)}\n`
  )
}

install()
rmSync(pages, { recursive: true, force: true })
mkdirSync(pages, { recursive: true })
const written = writePages()
if (!asked("--pages")) {
  writeReference()
  completeReference(written)
}
writeConfiguration()
// VitePress finds Vue from the pages
symlinkSync(join(tool, "node_modules"), join(pages, "node_modules"), "junction")
cpSync(join(root, "LICENSE"), join(pages, "public", "LICENSE.txt"))
const vitepress = join(tool, "node_modules/vitepress/bin/vitepress.js")
execute(process.execPath, [vitepress, asked("--dev") ? "dev" : "build", pages], tool)
if (!asked("--dev")) console.log(`the site is in ${relative(process.cwd(), join(site, "dist"))}`)
