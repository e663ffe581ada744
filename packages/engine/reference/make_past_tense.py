"""Writes examples/data/past-tense.jsonl: English verbs and their past tense.

    python make_past_tense.py

The verbs below were written down for this purpose, grouped by the spelling rule that makes
the past tense. Verbs with two current past forms (learned/learnt, traveled/travelled) are left
out, so that exactly one answer is right.
"""

from __future__ import annotations

import json
import random
from pathlib import Path

OUT = Path(__file__).resolve().parents[3] / "examples" / "data" / "past-tense.jsonl"

# + ed
PLAIN = """
abandon abolish absorb accept accomplish account acquaint act adapt add address adjust admonish adopt adorn
affect affirm afford aid aim alert allow alter amend amount anchor annoy answer appeal appear appoint approach
arrest ascend ascertain ask assert assess assign assist astonish attach attain attempt attend attest attract
audit avoid await award back bail bait balloon band banish bank bark barter beam beckon belong bestow billow
blacken blanch blast bleach blend bless blind blink block bloom blossom bluff blunder blunt blush board boast
boil bolster bolt bond book boost border bother bow bowl box braid branch brand brawl breach brighten broaden
broil brown brush burnish burrow bypass calm camp campaign cash caution chain chalk champion chant charm chart
cheat check cheer cherish chew chirp churn claim clamp clang clash clasp clean clear click climb cloak clutch
coach coast coil collect comb comfort command commend comment complain compress conceal concern condemn
conduct confess confirm conform confront connect conquer consent consider consist construct consult contact
contain contest contort contract contrast convert convey convict cook cool correct cough count cover cower
crack crash crawl creak credit croak cross crouch crowd crown crunch crush curb curl cushion damp dampen dart
dash dawn deafen decay deck deepen defeat defend delay delight demand depart depend depict deposit depress
descend desert design despair destroy detach detain detect develop devour differ digest direct disappear
disappoint discard discern discount discover discuss dish dismiss display dissent distort distract disturb
ditch divert dock doubt draft drain drench dress drift drill drown dump dust earn echo edit eject elbow elect
embark employ empower enact enchant encounter end endow enjoy enlist enrich enter entertain erect erupt escort
establish exceed exclaim exert exhaust exhibit exist expand expect explain exploit export express extend
extract fail faint falter farm fasten fault favor fear feast fetch fidget field film filter finish fish flash
flatten flatter flaunt flavor flicker flinch float flock flood floor flourish flow flower fold follow foster
founder freshen frighten frown furnish gain gallop gasp gather glimmer glisten glitter gloss glow gnaw govern
grant grasp greet grill groan groom grunt guard guess hail halt hammer hamper hand happen harbor harden harm
harvest hatch haul haunt head heal heap heat help herd hinder hint hoist honor hook hover howl hunt impair
impart implant implement import impress infect inflict inform inhabit inherit inject insert insist inspect
install instruct insult intend interest interpret invent invest iron jerk join jolt jump kick kiss knock lack
lament land lash last laugh launch leak lessen lighten limit linger link list listen litter load loan lock
long look loom loosen lurk mail maintain march mark market mash mask master match matter melt mend mention
merit milk mint miss mock monitor mount mourn murmur muster nail neglect number obey object obtain offend
offer open orbit order outlast outlaw own paint park part pass peck peel peep perform perish pester pick pilot
pinch pitch plant plaster play pleat plow pluck plunder point polish ponder portray possess post pour powder
pray preach press pretend prevail prevent prick print proceed prolong prompt protect protest publish puff pull
pump punch punish push quack quell quench quilt rain ransack reach react reap reason recall reckon recoil
record recover recruit redden reflect reform refrain refresh regain register reign reject relax relent remain
remark remember remind render rent repair repeat repent replenish report represent request resent resist
resort respect respond rest restrain restrict result retain retreat return reveal revert review revisit revolt
reward risk roar roast rock roll roof row ruin rush sail sanction scatter scold scorch scorn scowl scratch
scream screech seal search season seem select shadow sharpen shatter shelter shift shiver shock short shorten
shoulder shout shower shriek shudder sigh sign simmer sketch slacken slant slash slow smash smirk smooth snarl
snatch sniff snort snow soak soar soften soil solicit sort sound spark spawn splash splinter sprawl sprint
sprout spurn squander squeak squeal squint squirm stack staff stagger stain stalk stall stammer stamp start
stash stay steam steer stiffen stitch stock stoop storm strain strand strengthen stress stretch stuff subtract
succeed suffer suggest suit summon support surpass surrender surround suspect suspend sustain swallow sway
sweeten talk tamper tank target tarnish taunt tax tempt tend test thank thicken thrash threaten thrill thunder
tick tighten tilt toast toil torment toss touch toughen tour tow toy track train transform transplant
transport treat trespass trick trigger triumph trust tuck turn tutor twirl twist uncover unearth unfold unlock
unpack unveil usher utter vanish veil vent view visit vow wail wait walk wallow wander want warm warn wash
watch water waver weaken whimper whirl whisper widen wink wish wither witness wonder work worsen wreck wrench
yawn yearn yell yield zoom
"""

# + d
SILENT_E = """
accuse achieve acquire adhere admire advance advertise advise agree allocate amaze amuse analyze announce
anticipate appreciate approve argue arrange arrive assemble assume assure attribute baffle bake balance bathe
battle behave believe blame bottle bounce brace breathe browse bruise bubble buckle bundle bustle calculate
care carve cause cease celebrate challenge change charge chase choke chuckle circle circulate cite cleanse
close coincide collapse collide combine commence communicate compare compete compile complete compose comprise
compromise concede conceive concentrate conclude confide confine confuse congratulate conserve console consume
continue contribute convince cooperate coordinate cradle crease create criticize cruise crumble cure curve
cycle damage dance dazzle debate deceive decide declare decline decorate decrease dedicate deduce define
delete demonstrate denounce deprive derive describe deserve desire determine devote dictate dine disagree
discharge dislike displace dispose dispute dissolve distribute divide dodge donate double doze drape dribble
drizzle duplicate ease educate elapse elevate eliminate embrace emerge encourage endorse endure enforce engage
enhance enlarge ensure entitle escape estimate evaluate evolve examine exchange excite exclude excuse execute
exercise expire explode explore expose face fade fascinate feature fiddle figure file fire flare force frame
fumble gamble gaze generate giggle glance glare gobble grade graduate grate graze grieve grumble guarantee
guide handle hate hesitate hike hire house hurdle hustle hypnotize ignite ignore illustrate imagine imitate
improve include increase indicate indulge inflate influence initiate inquire inspire insure integrate
introduce invade investigate invite involve irritate isolate jiggle jingle judge juggle jumble kindle lace
lecture liberate like line live locate lodge love lure manage manufacture measure meditate merge mingle
mobilize motivate move muffle mumble name navigate negotiate nibble nominate note notice nudge nurse observe
operate oppose organize outline pace paddle parade paralyze paste pause perceive persuade phone pierce pile
place pledge plunge poke populate pose practice praise precede prepare preserve presume probe produce promise
promote pronounce propose provide provoke prune purchase purge pursue puzzle quote race raise range rate
realize receive recite recognize recycle reduce refuse refute regulate rehearse rejoice relate release relieve
relocate remove renounce replace require rescue resemble reside resolve restore resume retire retrieve reverse
revise revive revolve ripple rotate rule rustle salute sample save scale scare schedule scrape scribble secure
seize sense separate serve settle shape share shave shove shuffle silence simulate situate sizzle skate slice
slope smile smoke snare sneeze snore snuggle solve sparkle speculate sprinkle squeeze stage stare startle
starve stimulate stipulate store stroke struggle stumble style submerge subscribe suffice supervise suppose
surprise survive swerve tackle tame tangle taste tease telephone terminate tickle tie time tolerate topple
trace trade translate tremble trickle trouble tumble tune type unite update urge use utilize vacate value
venture vibrate violate vote wade wage waste wave welcome whistle wipe wobble wrestle wriggle wrinkle
"""

# y becomes i, + ed
IED = """
accompany ally amplify apply beautify bully bury carry certify clarify classify comply copy cry defy deny
dignify diversify dry embody empty envy exemplify falsify ferry fortify fry glorify gratify hurry identify
imply intensify justify levy liquefy magnify marry modify multiply mystify notify occupy pacify parry pity pry
purify qualify quantify query rally ratify rectify rely remedy reply satisfy signify simplify solidify specify
spy steady study supply tally testify tidy try typify unify vary verify worry
"""

# the last consonant is doubled, + ed
DOUBLED = """
acquit admit allot ban bar bat beg blot blur brag cap chat chip chop clap clip clog clot commit compel concur
confer control cram crop deter dim dip dot drag drip drop drum emit equip expel fan flap flip flop fret grab
grin grip hem hop hug hum incur infer jab jam jog jot knot lag lap log lug map mar mop mug nag net nip nod
occur omit pad pat patrol peg permit pet pin plan plod plot plug pop prefer prod prop propel rap rebel rebut
recap refer regret remit repel rig rip rob rub sag scan scrap scrub ship shop shrug shun sip skid skim skin
skip slam slap slip slot snag snap snip sob span spot star stem step stir stop strap strip strum strut stun
submit sum swap swat tag tan tap thin throb tip top transfer transmit trap trek trim trip trot tug wag whip
wrap zap zip
"""

# + ked
CKED = """
frolic mimic panic picnic traffic
"""

IRREGULAR = """
arise arose, bear bore, become became, begin began, bend bent, bind bound, bite bit, bleed bled, blow blew,
break broke, breed bred, bring brought, build built, burst burst, buy bought, cast cast, catch caught,
choose chose, cling clung, come came, cost cost, creep crept, cut cut, deal dealt, dig dug, do did,
draw drew, drink drank, drive drove, eat ate, fall fell, feed fed, feel felt, fight fought, find found,
flee fled, fling flung, fly flew, forget forgot, forgive forgave, freeze froze, get got, give gave, go went,
grind ground, grow grew, have had, hear heard, hide hid, hit hit, hold held, keep kept, know knew, lay laid,
lead led, leave left, lend lent, let let, lose lost, make made, mean meant, meet met, pay paid, put put,
read read, ride rode, ring rang, rise rose, run ran, say said, see saw, seek sought, sell sold, send sent,
set set, shake shook, shrink shrank, shut shut, sing sang, sink sank, sit sat, sleep slept, slide slid,
sling slung, slit slit, speak spoke, spend spent, spin spun, split split, spread spread, stand stood,
steal stole, stick stuck, sting stung, stride strode, strike struck, string strung, swear swore, sweep swept,
swim swam, swing swung, take took, teach taught, tear tore, tell told, think thought, throw threw,
thrust thrust, understand understood, wear wore, weep wept, win won, withdraw withdrew, wring wrung,
write wrote
"""

# Irregular verbs held out: each belongs to a family of which others stay in the training set, and
# none is its own past tense, which a model that only copies would get right.
HELDOUT_IRREGULAR = ["blow", "ring", "send", "cling", "creep", "wear", "drive", "throw"]
HELDOUT_SHARES = {"plain": 60, "silent-e": 34, "ied": 13, "doubled": 13}

VOWELS = set("aeiou")


def regular_past(verb: str, rule: str) -> str:
    if rule == "plain":
        return verb + "ed"
    if rule == "silent-e":
        assert verb[-1] == "e", verb
        return verb + "d"
    if rule == "ied":
        assert verb[-1] == "y" and verb[-2] not in VOWELS, verb
        return verb[:-1] + "ied"
    if rule == "doubled":
        assert verb[-1] not in VOWELS and (verb[-2] in VOWELS) and verb[-1] not in "wxy", verb
        return verb + verb[-1] + "ed"
    assert rule == "c-ck" and verb.endswith("c"), verb
    return verb + "ked"


def verbs() -> dict[str, tuple[str, str]]:
    """verb -> (past, rule)"""
    table: dict[str, tuple[str, str]] = {}

    groups = {"plain": PLAIN, "silent-e": SILENT_E, "ied": IED, "doubled": DOUBLED, "c-ck": CKED}
    for rule, text in groups.items():
        for verb in text.split():
            assert verb not in table, verb
            table[verb] = (regular_past(verb, rule), rule)
    for pair in IRREGULAR.replace("\n", " ").split(","):
        verb, past = pair.split()
        assert verb not in table, verb
        table[verb] = (past, "irregular")
    for verb, (past, rule) in table.items():
        if rule in ("plain", "doubled"):
            assert verb[-1] != "e" and not (verb[-1] == "y" and verb[-2] not in VOWELS), verb
    return table


def related(a: str, b: str) -> bool:
    """One is the other with something before it, as `recall` and `call`."""
    return a != b and (a.endswith(b) or b.endswith(a)) and min(len(a), len(b)) >= 3


def main() -> None:
    table = verbs()
    rng = random.Random(20)
    test = set(HELDOUT_IRREGULAR)
    for rule, share in HELDOUT_SHARES.items():
        candidates = [v for v, (_, r) in table.items() if r == rule and 3 <= len(v) <= 10]
        candidates = [v for v in candidates if not any(related(v, w) for w in table)]
        test |= set(rng.sample(sorted(candidates), share))
    rows = [
        {"prompt": f"{verb} ->", "completion": f" {past}\n", "split": "test" if verb in test else "train", "rule": rule}
        for verb, (past, rule) in table.items()
    ]
    # A fixed random order: taking the lines from first to last is a fair sample of the rules.
    rng.shuffle(rows)
    rows.sort(key=lambda r: r["split"] == "test")
    OUT.write_text("".join(json.dumps(r) + "\n" for r in rows))
    count = {s: sum(r["split"] == s for r in rows) for s in ("train", "test")}
    rules = {r: sum(x["rule"] == r for x in rows) for r in dict.fromkeys(x["rule"] for x in rows)}
    longest = max(len(r["prompt"] + r["completion"]) for r in rows)
    print(count, rules, "longest", longest)


if __name__ == "__main__":
    main()
