export * as ScriptedHttpClient from "./ScriptedHttpClient.ts"
export * as TestEngine from "./TestEngine.ts"
export * as TestServer from "./TestServer.ts"
