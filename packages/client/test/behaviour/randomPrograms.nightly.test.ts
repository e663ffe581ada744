import { testMortalSeeds, testSeeds } from "../utils/randomSeeds.ts"

testSeeds(20, 80)
testSeeds(1000, 1080)
testMortalSeeds(2, 12)
