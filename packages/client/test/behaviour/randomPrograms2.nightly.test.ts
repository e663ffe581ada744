import { testSeeds } from "../utils/randomSeeds.ts"

testSeeds(1000, 1080)
