"""English as children hear it: talk with speakers, descriptions, recipes, questions, rhymes.

In the spirit of the BabyLM corpus, whose parts (transcribed talk to children, simple \
encyclopaedia,
film subtitles, children's books) differ in layout as much as in wording.
"""

import random

from featflow.data.grammars.prose import Scene, prose_rules

GENRES = """
[text]
6 $transcript
3 $description
2 $recipe
2 $quiz
2 $rhyme
2 $subtitles
2 $letter
2 $chapter
[transcript]
1 @Participants: MOT $M, CHI $A
  $(turns 9 26 turn)
1 $(turns 9 26 turn)
1 @Situation: $A and $M are in the $P
  $(turns 7 16 turn)
  $(turns 2 9 play_turn)
1 $(turns 5 12 turn)
  $(turns 5 14 book_turn)
[turn]
3 *MOT: what 's that?
  *CHI: a $X.
  *MOT: that 's right, it 's a $Q $X.
3 *MOT: where 's the $X, $A?
  *CHI: in $P.
  *MOT: is it in the $P? no, it 's in the $R!
2 *MOT: do you want $to_do?
  *CHI: no.
  *CHI: want $X.
  *MOT: you want the $X? $okay.
2 *CHI: $X gone.
  *MOT: the $X 's gone? well, $(in clause_now).
2 *MOT: look, there 's a $(as k adj) $(as j noun_s)$(in pp)! can you see it?
  *CHI: $k $j!
2 *MOT: what color is the $X?
  *CHI: $colour.
  *MOT: no, it is $C. what 's $colour?
  *CHI: $food_s.
2 *MOT: who is that?
  *CHI: $B!
  *MOT: yes, it 's $B. $B is $act_g, isn't $B_he?
2 *CHI: why?
  *MOT: because $(as k clause_now).
1 *MOT: look, $(as k clause_now).
  *CHI: why?
  *MOT: why? because $(in clause_now), that 's why $k.
2 *MOT: let 's count the $(as k noun_p). one, two, three, four...
  *CHI: five, six, $count $k!
2 *MOT: don't $use_b the $X, $A, it 's $adj.
  *CHI: my $X!
  *MOT: I know it is your $X, but $(in clause_now).
2 $(lemma act)*CHI: I can $v_b.
  *MOT: can you $v_b? show me how you $v_b.
  *CHI: look, I 'm $v_g!
1 $(lemma use)*CHI: I $v_t the $(as k thing_s).
  *MOT: you $v_t the $k? I have never $v_n a $k.
1 $(lemma use)*MOT: who $v_d the $(as k thing_s)?
  *CHI: $B $v_d it.
  *MOT: and did $B $v_b the $(as j thing_s), too?
  *CHI: no, only the $k, not the $j.
1 *MOT: $okay. put the $X on the $thing_s, and then we 'll $vp_b.
1 $(lemma act)*FAT: did you $v_b with $B today?
  *CHI: $B $v_d and I $v_t.
  *FAT: you both $v_t? $really
1 *MOT: what does the $N say?
  *CHI: $(as k bang) $k.
  *MOT: $k $k, says the $N.
1 *CHI: I want a $F.
  *MOT: say please.
  *CHI: please, I want a $F.
  *MOT: here is your $F, it 's $adj.
4 *MOT: $think_where
1 *MOT: are the $(as k noun_p) $(as j act_g)?
  *CHI: yes, the $k are $j.
  *MOT: and is the $noun_s $j, too?
  *CHI: no, it isn't.
1 *CHI: again!
  *MOT: you want to $vp_b again?
1 *MOT: the $noun_s that $use_s the $X is $(as k feel). is it $k?
  *CHI: it is very $k.
[think_where]
1 I think that the $noun_s$(in rel_s) $vp_s. what do you think?
1 the $noun_p$(in rel_p) $vp_p, don't they?
1 we will $vp_b $when, and then you can $vp_b.
1 is the $(as k noun_s) $adj_er than the $noun_s? yes, the $k is the $adj_est of all.
1 if $(in clause_now), then $(in clause_now).
1 do you remember when we $use_t the $X? you were so $feel!
[play_turn]
2 *CHI: *sings* $bang $bang $bang!
  *MOT: you are $act_g like a $N!
2 *MOT: you be the $person_s, and I 'll be the $N.
  *CHI: no, I be the $N.
  *MOT: all right; then the $person_s says: "^$clause_now."
1 *MOT: whose turn is it? is it $A's turn or $B's turn?
  *CHI: $A's turn!
1 *MOT: round and round the $P goes the $X. catch the $X!
  *CHI: I caught the $X.
[book_turn]
2 *MOT: shall we read the book about the $N? look: "the $N $vp_d."
  *CHI: where $N go?
  *MOT: the $N $go_d $to.
2 *MOT: and on this page, $np_p $vp_p.
  *CHI: and this?
  *MOT: and here, $np_s $vp_s.
1 *MOT: how many $(as k noun_p) are there?
  *CHI: $(as j count).
  *MOT: $j $k? let 's count again.
1 *MOT: turn the page. oh, what happened to the $N? the $N that $(in vp_d) is $feel now.
[to_do]
2 to $vp_b
1 a $F
1 some $stuff
[okay]
3 okay
2 all right
2 well then
1 good girl
1 oh dear
[really]
1 really?
1 how nice!
1 good for you.
[description]
1 ^$topic_word
  ~
  $(repeat 3 7 fact)
  ~
  $(repeat 2 7 fact)
1 $(repeat 3 8 fact)
  ~
  See also: $thing_p; $animal_p; $place_p.
[topic_word]
1 the $X
1 $X_p
1 the $P
1 about $X_p
[fact]
3 A $X is a kind of $adj $thing_s that is $use_n by $person_p.
3 Most $X_p are $adj, but some are $adj.
2 ^$animal_p that $use_p $X_p are often $feel, since $(in clause_now).
2 People $use_p $X_p in order to $vp_b.
2 It is made of $stuff, $stuff, and (sometimes) $stuff.
2 In 1$(number 9)$(number 80), a $person_s called $A $person_s_cap $use_d the first $X$(in pp).
2 The $X was $use_n by $person_p long before $X_p were $use_n$(in pp).
1 There are about $(number 900) $X_p in the $P, most of which are $adj and $adj.
1 ^$clause_now; however, $(in clause_now).
1 Today, $X_p can be found$(in pp).
1 A $adj $X has $count $thing_p: one $pp_one, and $count on the $thing_s.
1 A $X is $adj_er than a $thing_s, but not as $adj as a $noun_s.
1 The $P is a $place_s where $(in clause_now).
1 ^$np_p - for example, the $animal_s and the $animal_s - $vp_p.
1 The word "$X" was once used for any $thing_s that $(in vp_d).
[person_s_cap]
1 Smith
1 Brown
1 Baker
1 Hill
1 Wood
1 Fisher
1 Bell
[pp_one]
2 in the $place_s
1 near the $thing_s
[recipe]
1 HOW TO MAKE A $adj $F $dish
  ~
  You need: $(number 12) $food_p, $(number 4) cups of $stuff, some $stuff, and a $adj $thing_s.
  ~
  1. First, wash the $food_p and cut them into $(number 9) pieces.
  2. ^$step_cook
  3. ^$step_cook
  4. ^$step_cook
  5. Bake for $(number 80) minutes, or until the $F is $adj.
  ~
  Be careful: $(in clause_now). Ask a $person_s to help you!
1 How to play "$X and $N"
  ~
  For $(number 8) players. ^$step_play
  ~
  - ^$step_play
  - ^$step_play
  - If $(in clause_now), you lose a turn.
  - The first who $use_s $count $X_p wins.
[dish]
2 cake
1 soup
1 pie
1 salad
[step_cook]
3 stir the $stuff with a $thing_s until it is $adj.
2 put the $F into the $thing_s, and add $(number 9) spoons of $stuff.
2 let it rest for $(number 50) minutes while you $vp_b.
1 mix the $stuff, the $stuff and the $food_p; then pour it over the $F.
1 if the $stuff is too $adj, add a little more $stuff.
[step_play]
2 everyone stands in a ring, and one player holds the $X.
2 the player who holds the $X must $vp_b, while the others $act_b $adverb.
1 when the $N calls "$bang!", all the players $go_p $to.
1 do not $use_b the $X before the $N has $act_n.
[quiz]
1 $(turns 5 11 question)
1 Questions about the $X
  ~
  $(turns 4 10 question)
[question]
3 Q: What is the $X for?
  A: You can $use_b $thing_p with the $X, or $vp_b.
2 Q: Who $(as k vp_s)?
  A: The $person_s$(in rel_s) $k, of course.
2 Q: Why do $(as k animal_p) $(as j act_b)?
  A: ^$k $j because $(in clause_now).
2 Q: How many $X_p does $A have, if $A_he has $(as k count) and $B gives $A_him $(as j count) \
more?
  A: ^$k and $j, so $A has $(number 40) $X_p.
2 Q: Is a $(as k animal_s) $(as i adj) or $(as j adj)?
  A: A $k is $j, not $i.
1 Q: Is a $(as k animal_s) $(as i adj) or $(as j adj)?
  A: A $k is $i, not $j.
2 Q: What is $(as i adj) and $(as j adj), and $(as k vp_s)?
  A: A $i, $j $noun_s that $k!
1 Q: What do you call a $person_s who $(in vp_s)?
  A: A $adj $person_s!
1 Q: Where does the $N that $(in vp_s) live?
  A: In a $place_s$(in pp).
1 $(lemma act)Q: Can $(as k np_p) $v_b?
  A: Yes, $k can $v_b; but they $v_p $adverb.
[rhyme]
1 $(turns 3 6 couplet)
1 $couplet
  $couplet
  ~
  $couplet
  $couplet
  ~
  $couplet
  $couplet
1 Five little $X_p $act_g in the $P,
  One $go_d $to and then there were four.
  Four little $X_p $act_g in the $P,
  One $act_d $adverb and then there were three.
  Three little $X_p - $bang, $bang, $bang! -
  One met a $N and then there were two.
  Two little $X_p $act_g in the sun,
  One said goodbye and then there was one.
[couplet]
2 $line_day,
  $line_day.
2 $line_tree,
  $line_tree!
2 $line_night,
  $line_night.
2 $line_tall,
  $line_tall.
1 ^$bang, $bang, little $N,
  Bring your $X to us again!
1 $line_bed,
  $line_bed.
1 $line_hat,
  $line_hat.
[line_day]
1 The $adj $N came to play
1 ^$act_b, little $N, $act_b all day
1 The $X and the $X have run away
1 And what did the $adj old $person_s say
1 ^$count $adj $animal_p, one and two, hooray
[line_tree]
1 There sits a $N in the $adj tree
1 ^$count $animal_p came to look at me
1 The $person_s $use_d the $X for free
1 Oh $X, my $X, what do you see
1 A $adj little $N looked over the sea
[line_night]
1 The $N and the $person_s said good night
1 The $adj little $X was shining so bright
1 Hush, little $A, sleep until the light
1 ^$A's $X flew away like a kite
[line_tall]
1 ^$A had a $X, and it was not tall
1 The $adj $N sat down on the wall
1 The $person_s, the $N, the $X and all
1 ^$bang went the $X that had a great fall
[line_bed]
1 ^$A and $B jumped out of the bed
1 And this is what the $person_s said
1 The $X was $adj, the $X was red
1 ^$A lost $A_his $X and found bread instead
[line_hat]
1 There was once a $N in a $adj hat
1 The $N said hello to a $adj cat
1 And where do you think that the $person_s sat
1 The $X on the $thing_s was round and flat
[subtitles]
1 $(turns 8 20 cue)
[cue]
3 - $A, $where_are?
  - I 'm in the $P.
2 $(lemma use)- Did you $v_b the $(as k thing_s)?
  - No, $B did. $B $v_d the $k $when.
2 - ^$(as k clause_now).
  - Really? You say that $k? I thought that $(in clause_past).
2 - Wait! The $X is $adj!
  - So what? Let it $act_b.
2 ^$clause_past.
1 - Who are you?
  - My name is $B. I am the $person_s.
  - The $person_s? But you are only a $B_kind!
1 (^$bang!)
  - What was that?
  - Only the $N. It 's $act_g$(in pp).
1 - How much is this $X?
  - $(as j number 90) dollars, sir.
  - $j! I could buy $count $X_p for that.
1 [ $A $act_s ]
1 - If you $use_b my $X again...
  - What? What will you do?
  - I will tell $M that you $act_d.
1 - I never said that $(as k clause_past)!
  - You said: "^$k." I heard it.
  - Well, $A, $(in clause_past).
[where_are]
2 where are you
1 can you hear me
1 what are you doing
1 is that you
[letter]
2 Dear $A,
  ~
  thank you for the $X that you sent me. It is so $adj! $(repeat 2 6 news) $(repeat 1 4 ask)
  ~
  Love,
  $B
1 Monday
  $(repeat 1 4 news)
  ~
  Tuesday
  $(repeat 1 4 news) ^$np_d $vp_d.
  ~
  Wednesday
  $(repeat 1 5 news)
[news]
3 $When_past I $use_d a $X, and $(in clause_past).
2 $M says that $(in clause_now), but I think that $(in clause_now).
2 We went to the $P, where we saw $np_t and $np_d.
2 I am $act_g in the $R now, and the $noun_s that $use_s my $X is $act_g, too.
1 ^$animal_p are my favourite animals, because they $vp_p.
1 ^$clause_past!
1 Our $N has $act_n for $count days.
[When_past]
1 Yesterday
1 Last week
1 On $(number 29) May
1 This morning
1 At the $P
[ask]
1 Have you ever $use_n a $X?
1 How is your $N? Is it still so $feel?
1 Does $M still $use_b the $thing_p?
1 Do you think that $(in clause_now)?
1 Please write soon.
[chapter]
1 CHAPTER $(number 20)
  ~
  $(repeat 3 6 narration)
  ~
  $(repeat 2 6 narration)
1 $(repeat 3 6 narration)
  ~
  $dialogue
  ~
  $(repeat 2 5 narration)
1 $dialogue
  $dialogue
  ~
  $(repeat 2 5 narration)
[narration]
4 ^$clause_past.
2 ^$clause_past, and $(in clause_past).
2 $A, who $(in vp_d), looked at the $X; it was $adj.
2 Every $morning the $person_s, whose $N $vp_d, $go_d $to.
1 As for $B, $B_he had never $use_n a $X, for $(in clause_past).
1 Not only the $noun_s but also the $noun_p $vp_t.
1 Neither the $noun_p nor the $noun_s $vp_d.
1 The $noun_s $act_d. The $noun_p $act_t. And still $A $act_d.
1 How $adj it was! What $adj $thing_p there were$(in pp)!
[morning]
1 morning
1 evening
1 day
1 winter
[dialogue]
2 "And why," said $A, "do you $use_b the $X?"
  "Because," $say_d $B, "$(in clause_now)."
  "But the $person_s said, '^$clause_now.'"
1 "^$clause_now," said the $person_s.
  "Indeed," said $A, who $vp_d, "but I heard that $(in clause_past)."
1 "You must not $vp_b," $say_d $M.
  "I never $vp_p!" $say_d $A. "It was $B who $vp_d."
"""

RULES = prose_rules(GENRES)


def scene(rng: random.Random) -> Scene:
    """Who and what a text is about."""
    return Scene(rng, RULES)


def write(stage: Scene) -> str:
    """A text of the scene."""
    return stage.finish(stage["text"])


def document(rng: random.Random) -> str:
    """One text of one of the genres."""
    return write(scene(rng))
