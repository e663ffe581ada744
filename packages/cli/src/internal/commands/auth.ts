/** `tinker auth`. */
import { command, group } from "../definition/command.ts"

/** @internal */
export const auth = group("auth", "Manage the stored API key.", [
  command("login", "Store an API key, which commands and programs then use.", {}, () =>
    import("../handlers/auth.ts").then((m) => m.login)
  ),
  command("logout", "Remove the stored API key.", {}, () => import("../handlers/auth.ts").then((m) => m.logout)),
  command("status", "Check that the service accepts the credentials.", {}, () =>
    import("../handlers/auth.ts").then((m) => m.status)
  ),
  command("whoami", "Show the user and organization of the credentials.", {}, () =>
    import("../handlers/auth.ts").then((m) => m.whoami)
  )
])
