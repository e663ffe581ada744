// Preloaded into a process: SQLite's binary is not installed there.
const Module = require("node:module")

const load = Module._load
Module._load = function (request, ...rest) {
  if (/^@libsql\/(linux|darwin|win32)/.test(request)) throw new Error(`Cannot find module '${request}'`)
  return load.call(this, request, ...rest)
}
