/**
 * Bundles a program of the repository for processes that tests start: importing its sources and all of Effect one by one
 * takes 5 s of CPU time in each process, its bundle half a second.
 */
import { build } from "esbuild"
import { createHash } from "node:crypto"
import { mkdirSync, readFileSync, renameSync, statSync, writeFileSync } from "node:fs"
import { readFile } from "node:fs/promises"
import { basename, join, resolve } from "node:path"
import { fileURLToPath, pathToFileURL } from "node:url"

const root = fileURLToPath(new URL("..", import.meta.url))
const directory = join(root, "build/programs")

/**
 * Modules that read files beside them go on to find them.
 *
 * @param {{ except: ReadonlyArray<string> }} options the names of files whose modules look beside the bundle
 * @returns {import("esbuild").Plugin}
 */
const keepUrls = ({ except }) => ({
  name: "urls",
  setup: ({ onLoad }) =>
    onLoad({ filter: /[/](packages|examples)[/](\w+[/])?(src|test)[/].*[.]ts$/ }, async ({ path }) => {
      if (except.some((name) => path.endsWith(`/${name}`))) return undefined
      const text = await readFile(path, "utf8")
      return { contents: text.replaceAll("import.meta.url", JSON.stringify(pathToFileURL(path).href)), loader: "ts" }
    })
})

/**
 * How programs on Node are bundled from the sources. The thread of the engine is looked for beside the bundle.
 *
 * @type {import("esbuild").BuildOptions}
 */
export const nodePrograms = {
  bundle: true,
  platform: "node",
  target: "node20",
  format: "esm",
  conditions: ["effect-tinker-source"],
  external: ["onnxruntime-node", "onnxruntime-web", "@libsql/client", "@mlc-ai/web-xgrammar"],
  logLevel: "warning",
  // CommonJS dependencies require Node's modules
  banner: {
    js: 'import{createRequire as __createRequire}from"node:module";const require=__createRequire(import.meta.url);'
  },
  plugins: [keepUrls({ except: ["nodeThread.ts"] })]
}

/** What tells that a file was changed. */
const stampOf = (path) => {
  const { mtimeMs, size } = statSync(path)
  return [mtimeMs, size]
}

/** Whether a bundle has all its sources as they are now. */
const isFresh = (stamps) => {
  try {
    return Object.entries(JSON.parse(readFileSync(stamps, "utf8"))).every(
      ([path, [mtime, size]]) => stampOf(path).join() === [mtime, size].join()
    )
  } catch {
    return false
  }
}

// another process may bundle the same program
const write = (path, contents) => {
  writeFileSync(`${path}.${process.pid}`, contents)
  renameSync(`${path}.${process.pid}`, path)
}

/** Where the thread of the engine is looked for by a bundle that starts one. */
const thread = { source: join(root, "packages/engine/src/internal/worker/nodeWorker.ts"), bundle: "nodeWorker.js" }

/** Bundles a file unless that was done before. Returns the path of the bundle, and the files in it. */
const bundle = async (source, name) => {
  const outfile = join(directory, name)
  const stamps = `${outfile}.json`
  if (isFresh(stamps)) return { outfile, sources: Object.keys(JSON.parse(readFileSync(stamps, "utf8"))) }
  const { metafile, outputFiles } = await build({
    entryPoints: [source],
    outfile,
    absWorkingDir: root,
    write: false,
    metafile: true,
    ...nodePrograms
  })
  mkdirSync(directory, { recursive: true })
  write(outfile, outputFiles[0].contents)
  const sources = Object.keys(metafile.inputs).map((path) => resolve(root, path))
  write(stamps, JSON.stringify(Object.fromEntries(sources.map((path) => [path, stampOf(path)]))))
  return { outfile, sources }
}

/** Bundles a program, with a thread of the engine if it starts one. Returns the path to be run by Node. */
export const bundleProgram = async (entry) => {
  const source = resolve(entry)
  const hash = createHash("sha256").update(source).digest("hex").slice(0, 8)
  const { outfile, sources } = await bundle(source, `${basename(source, ".ts")}-${hash}.mjs`)
  if (sources.some((path) => path.endsWith("/nodeThread.ts"))) await bundle(thread.source, thread.bundle)
  return outfile
}
