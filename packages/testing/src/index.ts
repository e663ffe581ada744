export * as ScriptedHttpClient from "./ScriptedHttpClient.ts"
export * as TestEngine from "./TestEngine.ts"
