"""What the programs are about, and how the words of a domain become names and comments."""

DOMAINS = """
inventory
  noun item product order stock shelf supplier warehouse box shipment label bin pallet
  number price quantity weight discount cost volume margin reorder_level
  text sku name category unit brand barcode
  state active missing damaged reserved cheap
  verb restock order ship count pack reserve
geometry
  noun point shape line circle vector polygon triangle edge corner plane box sphere
  number radius width height area angle length x y distance slope
  text color label kind axis
  state closed empty convex visible flat
  verb rotate scale move draw intersect project
text
  noun word line token paragraph page sentence document phrase letter term heading
  number length offset column frequency position indent rank
  text prefix suffix title content separator language body
  state blank upper quoted common rare
  verb split join strip wrap tokenize highlight
game
  noun player enemy level tile monster weapon card board team move sprite potion
  number score health speed damage lives x y power armor
  text name sound color skin title
  state alive hidden ready locked frozen
  verb attack spawn move heal shuffle defend
queue
  noun job task worker message event queue batch ticket consumer channel handler
  number priority delay timeout attempts size age backlog
  text topic status owner payload key
  state pending done failed blocked idle
  verb push pop schedule retry cancel dispatch
graph
  noun node edge path graph tree vertex root neighbor cycle parent branch leaf
  number weight depth degree cost distance capacity flow
  text label name color kind
  state visited connected directed reachable open
  verb visit connect search traverse link relax
config
  noun option section setting file profile field value flag rule template schema
  number level limit size port version timeout depth
  text name key path mode default encoding
  state enabled required valid optional strict
  verb load parse validate merge save override
cache
  noun entry cache page block slot record bucket object store session
  number size age hits capacity ttl misses lifetime
  text key tag owner policy digest
  state stale expired dirty full pinned
  verb store fetch evict refresh flush expire
statistics
  noun sample value series group bin column row measurement sensor reading trial
  number mean total variance count weight minimum maximum rate deviation
  text name unit label source method
  state valid missing sorted noisy normal
  verb average sum count normalize rank smooth
http
  noun request response user client server route header session cookie page token
  number status size port timeout age retries latency
  text url method host path body agent
  state secure cached public allowed expired
  verb send handle route redirect open authorize
bank
  noun account customer payment transfer card invoice loan ledger transaction branch
  number balance amount fee rate limit interest tax
  text name currency number owner reference iban
  state open frozen paid overdue valid
  verb deposit withdraw transfer charge pay audit
school
  noun student course teacher grade pupil exam lesson book room subject essay
  number score age credits year marks average seats
  text name title subject email letter
  state enrolled absent passed full late
  verb enroll grade teach add drop register
music
  noun song track album artist playlist note chord band station beat voice
  number tempo volume duration pitch year plays rating
  text title genre name mood key lyrics
  state playing muted looped popular loud
  verb play mix skip record tune shuffle
weather
  noun day station city forecast storm cloud season region reading wind
  number temperature humidity pressure rainfall speed hour altitude
  text name country unit condition zone
  state sunny cold dry stormy mild
  verb measure predict convert plot report update
robot
  noun robot arm sensor motor wheel battery command joint camera map goal
  number speed angle voltage distance power x y torque
  text name mode state message direction
  state moving stuck charged broken idle
  verb move turn stop grab scan calibrate
kitchen
  noun recipe ingredient meal cook oven dish menu guest table spice portion
  number calories minutes servings amount temperature price sugar
  text name unit cuisine note course
  state vegan ready hot fresh burnt
  verb bake mix serve cook taste chop
library
  noun book author member shelf loan page chapter copy publisher edition review
  number pages year fine rating copies days edition_number
  text title isbn name genre language publisher_name
  state borrowed overdue rare available lost
  verb borrow lend reserve search archive renew
farm
  noun animal field crop tractor barn cow seed harvest fence farmer basket
  number weight age output acres milk height rain
  text name breed color season kind
  state hungry ripe healthy fenced wet
  verb feed plant water harvest sell milk
space
  noun planet star rocket orbit moon crew probe mission galaxy engine satellite
  number mass radius speed fuel distance thrust altitude
  text name class_name code origin language
  state landed bright habitable docked cold
  verb launch land orbit scan dock explore
chat
  noun message user room channel thread reply bot group mention emoji contact
  number length unread likes age members replies
  text sender text topic nick time_zone
  state online muted pinned edited deleted
  verb send post edit mute delete notify
"""

COMMON = """
  noun item value entry element record object node child group part
  number total count size limit index score step offset average sum best rate
  text name key text label line message path title word code
  state empty valid ready found new old first last
  verb get find update build check compute collect print filter add remove create load make
    process read select sort clean
  qualifier first last best next other new old current previous left right main max min total raw
    base active valid final inner temp start target source
  plural_part all sorted selected remaining matching recent unique
"""

# How names are made, as rules; the words are joined in the document's style.
NAMES = """
[name_num]
5 $number
3 $noun $number
2 $qualifier $number
2 $noun count
1 $state count
1 num $noun_p
1 $qualifier $noun $number
1 total
1 result
[name_str]
5 $text
3 $noun $text
1 $qualifier $text
1 $noun id
1 $qualifier $noun $text
1 line
1 text
[name_flag]
3 is $state
2 has $noun
1 found
1 $noun is $state
1 ok
1 should $verb
1 was $state
[name_nums]
3 $number_p
3 $noun $number_p
1 values
1 $plural_part $number_p
1 numbers
1 totals
[name_strs]
3 $text_p
3 $noun $text_p
1 lines
1 words
1 $plural_part $text_p
1 parts
1 keys
[name_objs]
5 $noun_p
2 $state $noun_p
2 $plural_part $noun_p
1 items
1 results
[name_obj]
4 $noun
2 $state $noun
2 $qualifier $noun
1 item
[name_dict]
3 $number by $text
2 $noun $number_p by $text
1 $noun map
1 $noun index
1 counts
1 $number_p by $noun
1 $text table
1 lookup
[function_@ | @=num str flag nums strs objs dict none]
2 $verb $noun
1 $verb $state $noun_p
[function_num]
4 get $number
3 count $state $noun_p
3 $verb $noun $number
3 total $number
2 $qualifier $noun $number
2 find $noun
1 compute $number
[function_str]
3 $noun to $text
3 get $noun $text
2 format $noun
1 $text of $noun
1 read $text
[function_flag]
5 is $state
3 has $noun
2 is $state $noun
2 can $verb
1 $noun is $state
1 should $verb $noun
[function_nums]
4 get $number_p
2 $verb $number_p
2 $state $number_p
1 $number_p of $noun
[function_strs]
4 get $text_p
2 $noun $text_p
2 split $text
1 sort $text_p
1 unique $text_p
[function_objs]
4 $verb $noun_p
3 find $state $noun_p
2 filter $noun_p
2 load $noun_p
2 sort $noun_p
1 select $noun_p by $text
[function_dict]
3 count $noun_p by $text
3 group $number_p
2 index $noun_p
2 load $noun map
1 $number_p by $text
[function_none]
4 $verb $noun
3 $verb $noun_p
2 $verb
2 print $noun_p
2 set $number
1 add $noun
1 each $noun
[name_class]
4 $noun
3 $noun $agent
1 $state $noun
1 $noun $noun
[agent]
3 manager
2 list
2 store
1 parser
1 handler
1 factory
1 counter
1 index
1 builder
1 view
1 tracker
1 pool
[about]
4 $verb the $state $noun_p
3 the $noun has no $text
3 keep only the $noun_p with one $text
3 the $number of each $noun
2 skip $state $noun_p
2 add up the $number_p
2 $verb every $noun once
2 the $qualifier $number is at least $(number 90)
2 do not $verb any $state $noun
1 see if the $noun is $state
1 remember the $qualifier $noun for later
1 the $text must not be empty
1 this is the $number, not the $number
1 nothing to $verb here
1 both $noun_p are $state now
1 we $verb the $noun before the $noun
1 from the $text of the $noun
1 any $noun without its $number is $state
1 $number_p are in $unit, as in the old $noun list
[note]
6 $about
1 TODO: $verb the $noun_p by $text
1 NOTE: $about
1 FIXME: $about when $about
[unit]
1 seconds
1 meters
1 percent
1 euros
1 bytes
[phrase]
4 $noun
4 $verb $noun
3 $state $noun_p
2 no $noun
2 $noun is $state
1 could not $verb $noun
1 the $noun has no $text
[literal_word]
6 $noun
4 $text
3 $state
2 $verb
1 $(phrase)
[plain_num]
3 0
3 1
2 2
2 $(number 10)
3 $(number 100)
1 $(number 1000)
1 100
1 0.5
1 -1
[divisor]
2 2
1 3
1 4
1 10
1 100
[plain_str]
5 "$literal_word"
1 ""
1 "$noun.txt"
"""
