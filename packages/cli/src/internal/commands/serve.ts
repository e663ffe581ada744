/** `tinker serve`. */
import * as Options from "@effect/cli/Options"
import { command } from "../definition/command.ts"
import { checkpoints, modelDir, quantizedSampling } from "../definition/connectionOptions.ts"
import { flag, number, optionalText, repeatedText, text } from "../definition/options.ts"

/** @internal */
export const serve = command(
  "serve",
  "Run the embedded service, so that any client can train and sample without a GPU.",
  {
    host: text("host", "Address to listen on; a public one requires keys (default: 127.0.0.1)").pipe(
      Options.withDefault("127.0.0.1")
    ),
    port: Options.integer("port").pipe(
      Options.withDescription("Port to listen on, 0 for any free one (default: 8700)"),
      Options.withDefault(8700)
    ),
    modelDir,
    model: optionalText(
      "model",
      "Base model: a model directory, a GGUF file, ollama:NAME for one of Ollama's, or a repository on the Hugging Face hub"
    ),
    checkpoints,
    quantizedSampling,
    database: optionalText(
      "database",
      "URL of a PostgreSQL database for the records of the service, such as postgres://user@host/name; prefer " +
        "TINKER_DATABASE_URL for one with a password (default: a SQLite database beside the checkpoints)"
    ),
    backup: optionalText(
      "backup",
      "Copy the checkpoints and the records of the service to this new directory, and end; a service may use them meanwhile"
    ),
    allowOrigin: repeatedText(
      "allow-origin",
      "Let web pages of this origin, such as https://example.com, call the service"
    ),
    quota: optionalText(
      "quota",
      "How large the checkpoints of each user may be together, such as 20GB (default: no limit)"
    ),
    drainSeconds: number(
      "drain-seconds",
      20,
      "How long to finish what runs after SIGTERM or Ctrl-C; a second signal ends at once"
    ),
    logRequests: flag("log-requests", "Log each request on standard error, by its path, status, duration and user"),
    otlp: optionalText(
      "otlp",
      "Send traces, metrics and logs to the OpenTelemetry collector at this URL, such as http://127.0.0.1:4318"
    ),
    keysFile: optionalText("keys-file", "Accept only requests with an API key of this file, which has one a line"),
    key: repeatedText(
      "key",
      "Accept only requests with this API key. Other users of the machine see it in the process list: " +
        "set TINKER_SERVE_KEYS (separated by commas), or --keys-file"
    )
  },
  () => import("../handlers/serve.ts").then((m) => m.serve)
)
