"""The words of the natural-language grammars, as plain lists: the commonest first.

`words.py` makes their forms. A topic narrows what a document speaks of; many words stand in several
lists and as several parts of speech (water, watch, light, play, park, duck, fly, back, can).
"""

TOPICS = """
kitchen
  place kitchen table pantry counter stove oven cupboard sink shelf drawer cellar bakery
  thing pot cup spoon bowl plate pan knife fork jar lid can bottle kettle tray sieve whisk ladle
    apron napkin jug mug teapot saucer timer toaster fridge rolling_pin cake_tin tablecloth basket
  stuff flour sugar butter milk dough soup salt pepper oil honey jam cream batter steam water rice
  person cook baker grandmother guest waiter chef helper
  act cook bake wash_up spill boil simmer bubble burn
  use stir wash dry fill empty wipe heat pour_into scrub stack
  adj hot warm sweet sticky fresh sour tasty salty burnt delicious crispy spicy
garden
  place garden lawn pond fence shed gate flowerbed greenhouse hedge path orchard compost_heap
  thing flower seed plant spade rake leaf rose tulip daisy stone pot hose tree root bulb weed branch
    shovel bucket wheelbarrow trowel bean pumpkin sunflower petal stem bush vine thorn acorn
  stuff soil water grass mud sunshine shade moss dew compost ivy
  person gardener neighbour uncle aunt child
  act dig grow bloom rake kneel wilt sprout blossom
  use plant water pick dig_up trim smell weed bury pull_up gather
  adj green muddy bright wild tall prickly leafy thirsty sunny rotten
beach
  place beach shore sea harbour pier cave island dune rock lighthouse bay cliff lagoon
  thing shell bucket boat wave spade towel kite pebble sandcastle net sail anchor umbrella raft
    bottle flag crab_trap rope fish_hook paddle starfish barrel deckchair lifebelt pearl map
  stuff sand water seaweed foam sunlight salt driftwood spray coral
  person sailor fisherman captain lifeguard pirate diver
  act swim dive float splash paddle surf sunbathe drift
  use collect throw bury build wash rinse float tow launch
  adj sandy salty deep wet windy calm stormy sunny slippery foamy
school
  place school classroom library hall playground desk corridor office gym blackboard canteen
  thing book pencil pen ruler bag letter number picture map chair desk crayon page story notebook
    rubber globe bell poster poem word sum backpack lunchbox clock question answer test
  stuff chalk paper ink glue homework maths spelling history science reading
  person teacher pupil friend headmaster classmate student librarian caretaker
  act read write study listen draw spell sit_down count
  use read copy draw write learn spell open close colour underline
  adj clever quiet hard easy right wrong busy noisy new long
farm
  place farm barn field stable meadow pond yard henhouse pigsty hill mill orchard
  thing tractor fence egg gate cart bucket plough sack haystack saddle trough pitchfork nest
    wagon horseshoe scarecrow basket milk_can turnip cabbage feather bell rope wheel
  stuff hay corn wheat milk wool straw mud grain oats barley manure
  person farmer milkmaid shepherd miller boy girl
  act moo plough graze harvest crow gallop feed roll
  use feed milk drive load brush mend stack lead gather
  adj brown fat woolly hungry early dusty strong stubborn muddy golden
forest
  place forest wood cave path clearing hollow stream bridge den hut valley treehouse nest
  thing tree branch leaf stick acorn nut mushroom berry stump log twig footprint feather trail fern
    pine_cone lantern cobweb axe trunk burrow pebble root toadstool bramble chestnut
  stuff moss bark shade mist moonlight fog wood sap silence
  person hunter woodcutter ranger witch traveller hermit
  act hide growl rustle climb howl wander prowl hoot
  use follow gather find climb chop hide track pick hear
  adj dark thick deep quiet lost tall wild mossy gloomy hollow
zoo
  place zoo cage pool gate den island rock_pool aviary tank enclosure
  thing ticket fence camera balloon tail sign map banana horn trunk feather stripe whisker claw
    tusk mane beak paw photograph keeper_hat bucket wing fin
  stuff hay fur meat fish fruit popcorn water
  person keeper visitor vet guide child
  act roar swing stretch splash climb yawn leap chatter
  use feed watch see point_at brush photograph count clean
  adj huge wild spotted striped sleepy fierce hairy funny rare heavy
bathroom
  place bathroom bath sink tub shower mirror mat cupboard
  thing towel duck sponge toothbrush comb brush boat cup tap bubble plug mirror basin bottle robe
    washcloth slipper hairdryer razor scale bath_toy
  stuff water soap shampoo foam toothpaste steam hair
  person mother father baby brother sister
  act wash splash bathe drip brush shower soak
  use wash dry squeeze brush comb rinse fill soak
  adj wet clean soapy warm slippery dirty bubbly soft
bedroom
  place bedroom bed cot wardrobe closet window attic carpet cradle crib
  thing pillow blanket bear lamp dream toy doll book clock light quilt sheet curtain puppet rattle
    drawer nightgown teddy night_light lullaby alarm mobile cushion mattress
  stuff darkness sleep moonlight quiet dust
  person mother father baby sister twin grandfather
  act sleep dream snore yawn rest wake_up whisper cuddle
  use hug fold tuck make tidy turn_off cover shake
  adj sleepy soft cosy dark tired quiet warm fluffy
playground
  place park playground slide swing sandpit bench seesaw climbing_frame roundabout tunnel
  thing ball swing slide rope bike kite scooter hoop bat whistle skate frisbee bench marble top
    trampoline helmet puddle wheel ladder game pedal
  stuff sand grass fun gravel chalk
  person friend child girl boy runner jogger bully twin
  act play run jump swing slide skip hide climb
  use throw catch kick bounce push chase ride swing
  adj fast high fun fair brave dizzy loud rusty rough
street
  place street town corner shop bridge station square house pavement crossing tower market church
  thing car bus lamp sign bell bag bicycle letter light map brick roof window umbrella taxi statue
    bin fountain newspaper poster ladder pram door wall block engine
  stuff traffic smoke noise dust rain rubbish
  person driver policeman postman neighbour stranger mayor shopkeeper fireman
  act drive walk cross park stop hurry honk wait
  use drive park cross follow stop carry pass paint
  adj busy loud narrow crowded wide slow tall dirty modern
hospital
  place hospital bed clinic ward waiting_room ambulance pharmacy
  thing bandage pill knee arm tooth leg needle spoon thermometer plaster crutch tray mask glove
    stethoscope tummy ear wheelchair stretcher bruise scratch x-ray
  stuff medicine blood pain fever soup rest ointment
  person doctor nurse patient dentist surgeon vet
  act cough sneeze rest ache limp heal cry shiver
  use bandage hold check touch clean bring bend hurt
  adj sick sore pale weak better brave careful gentle
party
  place party hall table garden stage doorway tent
  thing cake candle balloon present card ribbon hat game song box mask bow cracker invitation plate
    whistle parcel magic_wand party_bag lantern banner streamer surprise
  stuff icing juice music jelly chocolate confetti lemonade popcorn
  person guest friend clown magician cousin grandmother
  act dance sing clap laugh cheer play giggle arrive
  use open wrap blow_out cut share give light hang
  adj happy merry secret colourful loud special sweet shiny
winter
  place hill pond yard igloo fireplace window cabin street slope
  thing sled snowman snowball coat scarf hat glove mitten boot icicle skate stove shovel carrot
    snowflake blanket footprint candle sweater log reindeer_bell ski
  stuff snow ice frost wind cocoa wool cold soup
  person skater skier child neighbour grandfather
  act freeze shiver slide skate snow melt sled slip
  use throw roll build wear shovel melt knit pull
  adj cold white frozen icy warm soft slippery chilly snowy
weather
  place sky window roof hill road field garden porch horizon
  thing cloud puddle umbrella rainbow raindrop storm boot coat hat drop shadow gutter tree kite
    thermometer flag leaf breeze hailstone lightning_rod
  stuff rain wind thunder sunshine fog lightning weather hail mist
  person farmer sailor child postman walker
  act rain blow shine drip pour clear_up rumble flash
  use watch hear feel shake open dry catch chase
  adj grey rainy cloudy wet stormy blue clear gloomy windy
music
  place stage hall theatre school church choir_room bandstand
  thing song drum piano violin flute guitar trumpet bell note whistle harp string tune bow horn
    microphone cello tambourine record rhyme beat key melody band
  stuff music noise applause rhythm jazz harmony
  person singer drummer dancer musician pianist conductor
  act sing dance clap play hum whistle practise drum
  use play sing tune hear beat learn practise strum
  adj loud soft high low sweet lively slow gentle musical
art
  place studio museum gallery table wall easel classroom
  thing picture brush crayon line circle square mask card frame star shape heart portrait drawing
    triangle dot stripe canvas statue collage pot easel marker palette sketch
  stuff paint paper glue clay glitter ink cardboard tape charcoal
  person painter artist potter model visitor
  act paint draw scribble colour cut smile
  use paint draw cut colour glue fold print frame copy
  adj red blue yellow purple round pink bright pretty square colourful
workshop
  place workshop garage shed bench roof house yard tool_shed attic
  thing hammer nail saw box wheel ladder board screw table chair key drill rope hook brick pipe
    plank bolt wrench spanner engine hinge lock spring chain battery wire toolbox
  stuff wood glue paint metal oil sawdust rust iron cement plastic
  person builder carpenter plumber father mechanic painter
  act build work saw hammer measure fix bang break_down
  use fix build saw nail mend paint measure hammer tighten screw
  adj broken strong heavy sharp loose wooden tight rusty crooked
market
  place shop market stall store bakery bank counter supermarket till warehouse
  thing coin basket bag ticket price toy box list note bill purse hat stamp parcel shoe wallet
    trolley scale bargain label crate receipt tin button
  stuff money bread cheese change fruit cloth silk fish
  person shopkeeper customer baker butcher grocer clerk seller thief
  act shop pay queue shout choose trade bargain
  use buy sell weigh choose pay_for wrap count pack order
  adj cheap fresh expensive ripe full busy new heavy free
trains
  place station platform tunnel bridge track carriage airport harbour road runway
  thing train ticket wheel engine whistle plane bus seat suitcase truck ship window flag boat lorry
    signal timetable rocket wing wagon helicopter van ferry tram canoe balloon
  stuff steam coal smoke luggage fuel noise
  person driver guard passenger pilot captain conductor engineer
  act travel stop fly drive whistle wave chug arrive
  use drive catch miss board ride wave load pull steer
  adj fast late early long noisy slow distant steep
space
  place sky moon planet roof hill observatory crater window spaceship
  thing star rocket moon planet telescope map comet helmet button robot ship meteor satellite
    dream book light engine antenna ring sun
  stuff space dust light darkness air gravity fire
  person astronaut scientist alien pilot inventor astronomer
  act shine twinkle fly float land orbit glow
  use see count watch reach visit discover explore name
  adj bright far round dark strange silver tiny endless huge
castle
  place castle tower palace village dungeon throne bridge cave kingdom moat mountain
  thing crown sword ring key gate treasure spell wand throne shield mirror feast jewel cloak horse
    potion scroll chest arrow banner helmet riddle diamond map slipper
  stuff gold magic silver smoke silk fire wine dust
  person king queen prince princess knight witch wizard giant fairy dragon servant elf dwarf troll
  act rule fight fly ride marry roar bow vanish
  use rescue guard steal seek find wear break hide win
  adj royal magic golden brave evil enchanted proud rich ancient noble
sport
  place field gym pool track court stadium goal pitch changing_room
  thing ball team goal race prize cup game medal bat shirt net whistle match trophy line rope
    skate racket helmet shoe hurdle flag glove ribbon score
  stuff sweat practice luck training sport chalk
  person coach player runner captain winner referee goalkeeper swimmer
  act run win play race train score lose jump
  use kick throw catch hit win lose pass score bounce
  adj fast strong ready quick fair tired proud last first
camping
  place camp tent lake mountain river trail cabin campsite peak valley
  thing tent map rope backpack torch lamp stick log boot compass canoe sleeping_bag stove matchbox
    marshmallow fire whistle flask star fishing_rod knife peg hammock
  stuff smoke firewood water darkness fog food fire
  person ranger scout hiker guide camper father
  act hike camp climb fish rest cook sing burn
  use pack carry light pitch climb cross follow roast
  adj steep dark cold far tired smoky rocky lonely wild
pond
  place pond river bank lake bridge stream waterfall marsh nest lily_pad
  thing boat stone stick net lily reed egg leaf bucket rod feather ripple log hook worm raft bubble
    oar puddle jar float line
  stuff water mud slime grass moss foam weed
  person fisherman boatman child swimmer
  act swim dive splash croak hop quack float fish
  use catch throw feed drop row cross pull drain
  adj wet deep green shallow slimy clear muddy still cool
circus
  place circus tent ring stage wagon tightrope fair
  thing trick drum hat ball rope hoop ticket cannon whistle nose wig cape ladder mask seesaw ring
    costume balloon unicycle trapeze juggling_club poster crowd
  stuff popcorn sawdust music laughter magic glitter
  person clown acrobat juggler magician ringmaster dancer
  act juggle dance bow tumble cheer swing clap
  use throw catch balance ride watch train jump_through
  adj funny brave loud amazing silly strong clever daring
clothes
  place shop wardrobe drawer closet mirror washing_line laundry cupboard
  thing shirt hat shoe sock coat dress button pocket belt glove scarf skirt boot tie jacket needle
    ribbon hole patch sleeve zip collar bow jumper necklace bonnet cap apron
  stuff wool cloth cotton thread silk leather velvet lace
  person tailor sister grandmother shoemaker weaver seamstress
  act sew knit dress_up shrink iron fit
  use wear sew fold wash iron hang button tie mend
  adj new old red torn clean dirty tight loose striped woollen
"""

# Lists that every topic may draw on, after its own.
COMMON = """
  place house room garden door window floor wall road hill town corner step
    yard tree box bed chair village city country world river sea field wood
  thing ball box book toy bag hat cup key bell stick stone door chair table car picture letter clock
    watch lamp ring rope block coin card game song pencil bottle basket blanket drum kite flag light
    match glass tail hand foot eye nose finger ear piece button string jar whistle bucket ladder
  notion idea story word question plan secret trick game promise dream song mistake problem surprise
    wish answer joke rule name birthday reason habit party chance lesson sound noise voice
    feeling memory riddle message puzzle adventure mystery thought tale quarrel discovery journey
    poem favour worry choice holiday visit task duty custom treat turn race fight hobby talent
  stuff water air paper sand light time dust wool string tea bread grass wood milk cheese glue
    cotton clay gold smoke fog oil soap
  food apple cookie cake egg banana carrot pear sandwich potato tomato pie bean plum orange pancake
    grape cherry lemon sausage biscuit onion muffin peach nut strawberry bun noodle pea waffle
    dumpling melon mushroom raisin radish sweet lollipop pizza burger olive fig walnut doughnut
    pretzel cracker turnip pickle berry apricot coconut pineapple mango meatball omelette tart
  animal dog cat bird rabbit mouse bear fox duck horse frog fish cow pig hen lion sheep elephant bee
    monkey squirrel owl wolf goat turtle tiger butterfly ant spider puppy kitten snake hedgehog
    donkey deer goose chick lamb pony crow giraffe whale beetle swan parrot zebra penguin snail mole
    hamster crab seal dolphin worm kangaroo camel ladybird badger robin otter eagle crocodile rat
    bat fly moth calf foal beaver hippo toad peacock lizard panda raccoon octopus shark pigeon
    rooster sparrow jellyfish dragonfly grasshopper leopard cub piglet duckling tadpole
    caterpillar weasel stork pelican cricket gorilla ostrich
  person man woman boy girl child baby friend mother father brother sister grandmother grandfather
    neighbour teacher doctor uncle aunt cousin farmer driver stranger king queen soldier sailor
    painter singer gentleman lady twin hero thief giant clown guard helper writer
  act play sleep laugh cry wait sit stand sing smile work dance talk listen shout rest look fall
    move stop whistle yawn giggle rest grin nod wave sneeze hide sigh frown blush tremble wobble
    stumble stretch wriggle shiver groan mumble pause lean kneel cough hiccup snore purr
  use hold find take want like need see carry hide lose bring touch keep break drop show watch love
    push pull hear open clean choose move fix throw catch lift share forget remember leave paint
    count turn drag shake grab squeeze borrow return follow admire polish examine notice prefer hate
  adj big little small old new good nice long red round funny blue pretty soft heavy dark strange
    green yellow white brown black tiny clean dirty lovely warm cold quiet bright empty full wet dry
    shiny special beautiful smooth rough huge thin flat plain pink purple orange grey wide narrow
    ordinary useful wonderful ugly fine fancy favourite curious gigantic enormous splendid dusty
    fluffy wrinkled delicate sturdy precious peculiar magnificent terrible handsome broken lonely
  go run walk go come jump skip hop climb fly swim crawl march rush wander hurry tiptoe dash race
    roll slide drive ride creep stroll gallop drift sail dance float scramble trot stomp charge
    limp glide swing stagger travel leap skate hike bounce waddle sneak zoom flutter dart
  feel happy sad tired hungry sorry glad angry afraid proud sleepy scared excited lonely brave
    thirsty shy cross surprised worried bored busy sick safe ready cold grumpy jealous nervous
    curious grateful cheerful miserable silly clever kind gentle polite rude careful lazy calm
    confused embarrassed disappointed helpful honest patient stubborn wise selfish thoughtful merry
    anxious eager furious ashamed homesick delighted restless fearless cautious generous greedy
  meet help call follow thank see hug find love chase kiss hear visit tickle carry feed watch tease
    pet greet teach tell trust scare remind comfort rescue invite surprise welcome blame forgive
    scold frighten miss admire obey warn cheer please copy fool ignore praise protect
  say say ask whisper shout answer reply cry call laugh explain add sing mutter promise beg giggle
    sigh agree groan gasp announce grumble mumble yell boast declare complain exclaim roar squeak
  think think know say hope believe guess see hear remember forget notice wish dream learn decide
    imagine suppose promise understand feel pretend realise discover
  adverb slowly quickly quietly softly loudly happily sadly carefully gently soon again together
    away suddenly kindly bravely gladly nicely politely angrily proudly gracefully eagerly shyly
    sleepily neatly badly silently secretly cheerfully nervously lazily patiently clumsily merrily
    swiftly wearily calmly honestly boldly foolishly wisely tenderly fiercely easily safely
  when today now tomorrow yesterday soon later tonight sometimes always often again outside inside
    upstairs downstairs early every_day all_day every_morning on_Sunday on_Monday on_Friday
    after_lunch after_supper before_bed at_noon in_the_morning in_the_evening in_spring in_summer
  count two three four five six seven eight nine ten twelve twenty ninety eleven fifteen thirty
    sixty forty fifty thirteen sixteen
  colour red blue green yellow white black brown pink purple orange grey silver golden
  bang bang splash boom crash pop swish whoosh thump click buzz plop crunch creak ding clang snap
    rattle squelch tap tick_tock fizz clatter drip hiss zip thud splat honk jingle plink whirr
  virtue kindness sharing honesty patience courage friendship listening practice helping trust
    forgiveness hard_work curiosity generosity telling_the_truth being_brave saying_sorry
"""

GIRLS = """
Lily Mia Anna Lucy Sara Emma Rose Zoe Ella Molly Daisy Sue Jane Mary Kate Amy Nora Ruby Grace
Alice Sophie Poppy Lola Clara Ivy Maya Holly Hannah Betty Jill Polly Tina Nina Eva Kitty Penny
Ruth Martha Susan Julia Laura Olga Wendy Flora Hazel Stella Iris Bella Fiona Greta Heidi Ingrid
Josie Karen Lena Mabel Nell Olive Pearl Queenie Rita Sally Tess Una Vera Willa Yasmin Zelda Amira
Bonnie Cora Dora Elsie Freya Gwen Harriet Isla Jasmine Lottie Matilda Naomi Ottilie Priya Rosa
"""

BOYS = """
Tom Tim Ben Max Sam Jack Leo Adam Bob Joe Peter Billy Dan Nick Charlie Oliver Harry Henry Jim Luke
Noah Oscar Finn Toby Danny Alex Eric Fred George Hugo Ivan Jake Ken Louis Mark Ned Otto Paul Ralph
Simon Ted Victor Walter Will Arthur Bruno Carl David Edgar Felix Gus Hans Isaac Jonas Kofi Lars
Milo Nathan Omar Pablo Quentin Robin Stan Theo Umar Vince Wilbur Xavier Yusuf Zack Albert Barney
Cyril Dexter Ernest Frank Gilbert Hector Igor Jasper Kirk Lionel Mike Norman Patrick Rory
"""

WOMEN = "Mum Mom Grandma Mother Mummy Mama Granny"
MEN = "Dad Grandpa Father Daddy Papa Grandad"
KINDS = "rabbit bear fox mouse duck cat dog frog bird squirrel owl pig turtle hedgehog lion"

IRREGULAR_VERBS = """
be/is/was/been/being have/has/had/had/having do/does/did/done/doing go/goes/went/gone/going
come/comes/came/come/coming run/runs/ran/run/running swim/swims/swam/swum/swimming
fly/flies/flew/flown/flying drive/drives/drove/driven/driving ride/rides/rode/ridden/riding
creep/creeps/crept/crept/creeping swing/swings/swung/swung/swinging
sleep/sleeps/slept/slept/sleeping sit/sits/sat/sat/sitting stand/stands/stood/stood/standing
sing/sings/sang/sung/singing fall/falls/fell/fallen/falling grin/grins/grinned/grinned/grinning
nod/nods/nodded/nodded/nodding hold/holds/held/held/holding find/finds/found/found/finding
take/takes/took/taken/taking see/sees/saw/seen/seeing hide/hides/hid/hidden/hiding
lose/loses/lost/lost/losing bring/brings/brought/brought/bringing keep/keeps/kept/kept/keeping
break/breaks/broke/broken/breaking show/shows/showed/shown/showing hear/hears/heard/heard/hearing
choose/chooses/chose/chosen/choosing throw/throws/threw/thrown/throwing
catch/catches/caught/caught/catching drag/drags/dragged/dragged/dragging
forget/forgets/forgot/forgotten/forgetting leave/leaves/left/left/leaving
shake/shakes/shook/shaken/shaking grab/grabs/grabbed/grabbed/grabbing feed/feeds/fed/fed/feeding
tell/tells/told/told/telling teach/teaches/taught/taught/teaching
forgive/forgives/forgave/forgiven/forgiving say/says/said/said/saying
beg/begs/begged/begged/begging think/thinks/thought/thought/thinking know/knows/knew/known/knowing
understand/understands/understood/understood/understanding feel/feels/felt/felt/feeling
dig/digs/dug/dug/digging grow/grows/grew/grown/growing read/reads/read/read/reading
write/writes/wrote/written/writing draw/draws/drew/drawn/drawing build/builds/built/built/building
kneel/kneels/knelt/knelt/kneeling wake/wakes/woke/woken/waking make/makes/made/made/making
blow/blows/blew/blown/blowing cut/cuts/cut/cut/cutting give/gives/gave/given/giving
light/lights/lit/lit/lighting hang/hangs/hung/hung/hanging freeze/freezes/froze/frozen/freezing
wear/wears/wore/worn/wearing shine/shines/shone/shone/shining beat/beats/beat/beaten/beating
pay/pays/paid/paid/paying buy/buys/bought/bought/buying sell/sells/sold/sold/selling
fight/fights/fought/fought/fighting steal/steals/stole/stolen/stealing
seek/seeks/sought/sought/seeking win/wins/won/won/winning hit/hits/hit/hit/hitting
shrink/shrinks/shrank/shrunk/shrinking lead/leads/led/led/leading bend/bends/bent/bent/bending
hurt/hurts/hurt/hurt/hurting eat/eats/ate/eaten/eating tie/ties/tied/tied/tying
slide/slides/slid/slid/sliding draw/draws/drew/drawn/drawing
shovel/shovels/shovelled/shovelled/shovelling travel/travels/travelled/travelled/travelling
get/gets/got/got/getting let/lets/let/let/letting put/puts/put/put/putting
leap/leaps/leapt/leapt/leaping spill/spills/spilt/spilt/spilling
dream/dreams/dreamt/dreamt/dreaming learn/learns/learnt/learnt/learning
speak/speaks/spoke/spoken/speaking meet/meets/met/met/meeting
"""

# Verbs of one syllable (or stressed at the end) whose last consonant doubles.
DOUBLING = """
skip hop trot step stop chat grin clap drop hug pet plan beg wag tap tug trim wrap hum drum drip
dip slip zip pop rub scrub stir tag nap pat rip ship shop spot trip whip plop jog knit snap pin
fit chop chug prefer tiptop strum swat drag squat plod bat sled
"""

IRREGULAR_PLURALS = """
mouse/mice goose/geese sheep/sheep fish/fish deer/deer man/men woman/women child/children
foot/feet tooth/teeth leaf/leaves knife/knives wolf/wolves calf/calves shelf/shelves scarf/scarves
thief/thieves loaf/loaves half/halves gentleman/gentlemen policeman/policemen postman/postmen
fireman/firemen fisherman/fishermen snowman/snowmen boatman/boatmen elf/elves dwarf/dwarves
potato/potatoes tomato/tomatoes hero/heroes mango/mangoes milkmaid/milkmaids octopus/octopuses
hippo/hippos kangaroo/kangaroos piano/pianos studio/studios roof/roofs cliff/cliffs
bookshelf/bookshelves starfish/starfish jellyfish/jellyfish gentleman/gentlemen
housewife/housewives radio/radios photo/photos pirate/pirates
"""
