export * as Hub from "./Hub.ts"
export * as Json from "./Json.ts"
export * as Tokenizer from "./Tokenizer.ts"
export * as Tokenizers from "./Tokenizers.ts"
