export * as Tinker from "./Tinker.ts"
