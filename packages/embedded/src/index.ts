export * as BrowserFileSystem from "./BrowserFileSystem.ts"
export * as BrowserWorker from "./BrowserWorker.ts"
export * as Embedded from "./Embedded.ts"
