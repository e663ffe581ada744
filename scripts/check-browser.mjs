/**
 * Bundles for browsers what is meant to run there, with esbuild and with Vite, without settings, externals and stand-ins
 * for Node's modules. It fails when a bundler cannot resolve an import, when an import of Node or undici is left, or when a
 * bundle is larger than its budget.
 *
 * `node scripts/check-browser.mjs` bundles the sources; with `--dist` it bundles what `npm run types` or
 * `npm run build` has compiled.
 */
import { build as esbuild } from "esbuild"
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { builtinModules } from "node:module"
import { join, relative } from "node:path"
import { fileURLToPath } from "node:url"
import { gzipSync } from "node:zlib"
import { build as vite, defaultClientConditions } from "vite"

const root = fileURLToPath(new URL("..", import.meta.url))
const dist = process.argv.includes("--dist")
const sourceConditions = dist ? [] : ["effect-tinker-source"]

/**
 * Each as an application imports it; `export *` keeps tree-shaking from hiding an import. The page of `embedded` has a worker,
 * which has the engine. Budgets are in kB, compressed, of all files together: a bundle that has outgrown its budget for a
 * good reason gets a larger one.
 */
const entries = {
  client: { page: 'export * from "@effect-tinker/client"', budget: { esbuild: 460, Vite: 440 } },
  embedded: {
    page:
      'export * from "@effect-tinker/embedded"\n' +
      'export const worker = () => new Worker(new URL("./worker.js", import.meta.url), { type: "module" })',
    worker: 'import * as BrowserWorker from "@effect-tinker/embedded/BrowserWorker"\nBrowserWorker.run()',
    // Vite gives the worker its own copy of what both use
    budget: { esbuild: 690, Vite: 970 }
  }
}

const builtin = new Set(builtinModules.flatMap((name) => [name, `node:${name}`]))
const isForNode = (specifier) =>
  specifier.startsWith("node:") ||
  builtin.has(specifier) ||
  /^(undici|@effect\/platform-node|onnxruntime-node)(\/|$)/.test(specifier)

/** The modules of Node's that a bundle still imports, statically or not. */
const leftImports = (code) =>
  [...code.matchAll(/\b(?:from|import|require)\s*\(?\s*["']([^"'\n]+)["']/g)]
    .map(([, specifier]) => specifier)
    .filter(isForNode)

/** Fails at the first import of Node, rather than at everything below it. */
const rejectNodeInEsbuild = {
  name: "reject-node",
  setup: ({ onResolve }) => {
    onResolve({ filter: /.*/ }, ({ path }) => (isForNode(path) ? { errors: [{ text: `imports ${path}` }] } : undefined))
  }
}

const withEsbuild = async (entryPoints) => {
  const bundled = await esbuild({
    entryPoints,
    absWorkingDir: root,
    bundle: true,
    write: false,
    outdir: join(root, "unused"),
    splitting: true,
    format: "esm",
    platform: "browser",
    target: "es2022",
    conditions: [...sourceConditions, "module"],
    minify: true,
    legalComments: "none",
    logLevel: "silent",
    plugins: [rejectNodeInEsbuild]
  }).catch((error) => {
    if (!Array.isArray(error.errors)) throw error
    throw new Error(
      error.errors
        .map(({ location, text }) => `${location === null ? "" : `${location.file}:${location.line} `}${text}`)
        .join("\n")
    )
  })
  return bundled.outputFiles.filter(({ path }) => path.endsWith(".js")).map(({ text }) => text)
}

/** Vite would put an empty module in the place of Node's, and only warn. */
const rejectNodeInVite = {
  name: "reject-node",
  enforce: "pre",
  resolveId(specifier, importer) {
    if (isForNode(specifier)) {
      throw new Error(`${importer === undefined ? "" : relative(root, importer)} imports ${specifier}`)
    }
    return null
  }
}

/** Vite finds the worker by itself. */
const withVite = async ([entry]) => {
  const built = await vite({
    root,
    configFile: false,
    logLevel: "silent",
    plugins: [rejectNodeInVite],
    resolve: { conditions: [...sourceConditions, ...defaultClientConditions] },
    worker: { format: "es", plugins: () => [rejectNodeInVite] },
    build: {
      write: false,
      target: "es2022",
      reportCompressedSize: false,
      modulePreload: false,
      rollupOptions: {
        input: entry,
        preserveEntrySignatures: "strict",
        onwarn: (warning) => {
          if (warning.code === "UNRESOLVED_IMPORT") throw new Error(warning.message)
        }
      }
    }
  })
  return [built]
    .flat()
    .flatMap(({ output }) => output)
    .filter(({ fileName }) => fileName.endsWith(".js"))
    .map(({ code, source }) => code ?? String(source))
}

const scratch = mkdtempSync(join(root, "node_modules", ".check-browser-"))
let failures = 0
try {
  for (const [name, { budget, page, worker }] of Object.entries(entries)) {
    const directory = join(scratch, name)
    mkdirSync(directory)
    const files = Object.entries({ page, worker }).filter(([, content]) => content !== undefined)
    const entryPoints = files.map(([file]) => join(directory, `${file}.js`))
    files.forEach(([, content], i) => writeFileSync(entryPoints[i], content))
    for (const [bundler, bundle] of [
      ["esbuild", withEsbuild],
      ["Vite", withVite]
    ]) {
      const started = performance.now()
      try {
        const chunks = await bundle(entryPoints)
        const left = [...new Set(chunks.flatMap(leftImports))]
        if (left.length > 0) throw new Error(`the bundle still imports ${left.join(", ")}`)
        const kilobytes = chunks.reduce((sum, code) => sum + gzipSync(code).length, 0) / 1024
        const most = budget[bundler]
        if (kilobytes > most) throw new Error(`${kilobytes.toFixed(0)} kB gzipped, but its budget is ${most} kB`)
        const seconds = ((performance.now() - started) / 1000).toFixed(1)
        console.log(`${name} with ${bundler}: ${kilobytes.toFixed(0)} of ${most} kB gzipped, ${seconds} s`)
      } catch (error) {
        failures++
        console.error(`${name} with ${bundler}: ${error.message}`)
      }
    }
  }
} finally {
  rmSync(scratch, { recursive: true, force: true })
}
if (failures > 0) process.exitCode = 1
