/**
 * Builds the page that trains in a browser into `build/page`, and serves it: `npm run page`, at http://localhost:4173.
 * `-- --build` only builds it. What is built is a directory of files, which any server of static files can serve by https.
 */
import { build } from "esbuild"
import { createHash } from "node:crypto"
import { cpSync, mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs"
import { createServer } from "node:http"
import { join, relative } from "node:path"
import { fileURLToPath } from "node:url"
import { gzipSync } from "node:zlib"

const root = fileURLToPath(new URL("..", import.meta.url))
const source = join(root, "examples", "src", "page")
const model = join(root, "packages", "engine", "models", "nano")
const port = 4173

const escape = (text) => text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;")

const keywords = "import|export|const|type|interface|return|yield|function|readonly|from|as|for|of|if|else|new"
const token = new RegExp(
  String.raw`(?<comment>/\*[^]*?\*/|//[^\n]*)|(?<string>"[^"\n]*"|${"`[^`]*`"})|\b(?<keyword>${keywords})\b`,
  "g"
)

/** The source of a program with its comments, strings and keywords marked. */
const highlight = (text) => {
  let html = ""
  let end = 0
  for (const { 0: found, groups, index } of text.matchAll(token)) {
    const name = groups.comment !== undefined ? "i" : groups.string !== undefined ? "q" : "b"
    html += `${escape(text.slice(end, index))}<${name}>${escape(found)}</${name}>`
    end = index + found.length
  }
  return html + escape(text.slice(end))
}

const filesOf = (directory) =>
  readdirSync(directory, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => relative(directory, join(entry.parentPath, entry.name)).replaceAll("\\", "/"))
    .sort()

const bundle = (outdir, entryPoints, define = {}) =>
  build({
    entryPoints: entryPoints.map((name) => join(source, name)),
    outdir,
    bundle: true,
    splitting: true,
    format: "esm",
    target: "es2022",
    minify: true,
    legalComments: "none",
    conditions: ["effect-tinker-source"],
    define,
    logLevel: "warning"
  })

/** Builds the page into a directory, which is emptied first. */
export const buildPage = async (outdir) => {
  rmSync(outdir, { recursive: true, force: true })
  mkdirSync(join(outdir, "model"), { recursive: true })
  await bundle(outdir, ["main.ts", "worker.ts"])
  const program = readFileSync(join(root, "examples", "src", "past-tense.ts"), "utf8")
  const html = readFileSync(join(source, "index.html"), "utf8").replace("<!-- program -->", () => highlight(program))
  writeFileSync(join(outdir, "index.html"), html)
  for (const name of ["style.css", "icon.svg"]) cpSync(join(source, name), join(outdir, name))
  cpSync(join(root, "examples", "data", "past-tense.jsonl"), join(outdir, "past-tense.jsonl"))
  // the browser keeps the model's other files by their hash
  const kept = ["./", ...filesOf(outdir).filter((name) => name !== "index.html"), "model/SHA256SUMS"]
  for (const name of filesOf(model)) cpSync(join(model, name), join(outdir, "model", name))
  const hash = createHash("sha256")
  for (const name of filesOf(outdir)) hash.update(name).update(readFileSync(join(outdir, name)))
  await bundle(outdir, ["service-worker.ts"], {
    FILES: JSON.stringify(kept),
    VERSION: JSON.stringify(hash.digest("hex").slice(0, 16))
  })
}

const types = {
  css: "text/css",
  html: "text/html; charset=utf-8",
  js: "text/javascript",
  json: "application/json",
  svg: "image/svg+xml"
}

const isText = (name) => /\.(css|html|js|json|jsonl|svg)$/.test(name)

/** A file as it is sent: texts are compressed. */
const compressed = (directory, name) => {
  const content = readFileSync(join(directory, name))
  return isText(name) ? gzipSync(content) : content
}

/** A server of the files of a directory. */
export const makeServer = (directory) => {
  const files = new Map(filesOf(directory).map((name) => [name, compressed(directory, name)]))
  return createServer((request, response) => {
    const path = new URL(request.url, "http://localhost").pathname.slice(1) || "index.html"
    if (!files.has(path)) {
      response.writeHead(404).end()
      return
    }
    const content = files.get(path)
    response.writeHead(200, {
      "content-type": types[path.slice(path.lastIndexOf(".") + 1)] ?? "application/octet-stream",
      "content-length": content.length,
      "cache-control": "no-cache",
      ...(isText(path) ? { "content-encoding": "gzip" } : {})
    })
    response.end(content)
  })
}

/** The bytes of a built page as they are sent, without the model. */
export const sizeOf = (directory) =>
  filesOf(directory)
    .filter((name) => !name.startsWith("model/"))
    .reduce((sum, name) => sum + compressed(directory, name).length, 0)

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const outdir = join(root, "build", "page")
  await buildPage(outdir)
  console.log(`build/page: ${(sizeOf(outdir) / 1024).toFixed(0)} kB compressed, without the model`)
  if (!process.argv.includes("--build")) {
    makeServer(outdir).listen(port, "127.0.0.1", () => console.log(`http://localhost:${port}`))
  }
}
