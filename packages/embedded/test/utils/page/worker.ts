/** The worker of the page that tests load. */
import * as BrowserWorker from "@effect-tinker/embedded/BrowserWorker"

BrowserWorker.run()
