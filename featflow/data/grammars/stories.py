"""Short stories in simple words: an opening, a wish or a trouble, attempts, an end, a moral.

The characters, their pronouns, the thing, the places and the food are drawn once and return all
through the story; what else the sentences speak of keeps to the topic.
"""

import random

from featflow.data.grammars.prose import Scene, prose_rules

PLOTS = """
[story]
3 opening day wants talk? middle? tries helped shared ending coda?
3 opening day lost middle? searches talk? found ending coda?
2 opening fear talk? faces middle? ending coda?
2 opening day quarrel middle? sorry shared ending coda?
2 opening day beast tends talk? thanks ending coda?
2 opening day? contest talk? middle? race ending coda?
2 opening day? trick middle? sorry ending coda?
2 opening journey middle beast? middle? talk? homeward ending coda?
2 opening gift tries helped given ending coda?
1 opening storm talk? faces found ending coda?
1 opening day beast talk tricked ending coda?
1 opening baking talk? shared ending coda?
1 opening sight_alone? talk coda?
1 opening wants ending
1 opening day lost talk? searches beast tends? searches found shared? ending coda?
1 opening baking quarrel sorry talk? shared ending coda?
[opening]
4 Once upon a time, there was a $adj $A_kind named $A. ^$hero_likes
3 One day, a $adj $A_kind named $A was playing $(in pp_near) with $A_his friend, $B. $B was a \
$B_kind.
2 $A was a $adj little $A_kind who lived in a $adj house near the $P. ^$hero_likes
2 Once there was a $A_kind. ^$A_his name was $A. ^$hero_likes
1 Long ago, in a $adj $place_s$(in pp), there lived a $A_kind called $A. ^$hero_likes
1 $A and $B were best friends. $A was $feel and $B was $feel, but they both loved to $act_b.
1 In a $adj $place_s lived a $A_kind whose name was $A and a $B_kind whose name was $B.
1 It was a $adj day in $A's town. The $noun_p were $act_g, and the $noun_s $act_d$(in pp).
[hero_likes]
3 $A_he loved to $vp_b.
2 $A_he had a $Q $X that $A_he $use_d every day.
2 $A_he liked to $act_b and $act_b with $A_his friend $B.
1 $A_he lived with $A_his $person_s, who $vp_d.
1 every day, $A_he $go_d $to and $use_d the $thing_p.
[pp_near]
2 near the $P
1 in the $P
1 in the $P$(in pp)
[day]
4 One $adj morning, $A and $A_his friend $B went to the $P. $sight
3 One day, $A went to the $P with $A_his $person_s. $sight
2 The next day, $M said, "^$A, let's go to the $P!" So they $go_d $to. $sight
1 It was $A's birthday. All $A_his friends came to the $P: $B, a $person_s, and even $count \
$animal_p! $sight
1 That $morning the sun was shining. $A $go_d $to until $A_he came to the $P. $sight
[morning]
1 morning
1 afternoon
1 evening
1 Sunday
1 day
[sight]
3 ^$clause_past.
2 There were many things to see: $adj $thing_p, $count $animal_p, and a $person_s who $vp_d.
1 $A saw $np_d$(in rel_d). "Look!" $say_d $A.
1 "What a $adj $place_s!" said $A. ^$A_he $vp_d.
[sight_alone]
1 $sight
1 $sight ^$clause_past.
[wants]
3 At the $P, $A saw a $Q $X. ^$A_he wanted it very much. "Can I have the $X, please?" $A_he \
asked $M. $M shook $M_his head. "Not today," $M_he said. "You have many $X_p at home."
2 $A wanted a $X more than anything. But the $X was $high, and $A was too small to reach it.
2 Then $A saw something $adj$(in pp). It was a $X! The $X was $Q and $adj, and $A wanted to \
$use_b it.
1 "I wish I had a $X," said $A. "If I had a $X, I could $vp_b."
[high]
1 high up on the $place_s
1 on top of the tall $thing_s
1 stuck in the $adj $thing_s
1 behind the $place_s, where nobody could go
1 in the window of the shop, and it cost $(number 90) coins
[lost]
3 $A took $A_his $Q $X along. But when $A_he $vp_d, the $X $went. $A did not notice until it was \
time to go home. "Oh no! Where is my $X?" $A_he cried.
2 When $A came home, the $X was gone! $A looked at $B. $B looked at $A. "Did you take my $X?" \
asked $A. "No," said $B, "I did not take it. The last time I saw your $X, it was in the $R."
1 A $adj wind came and blew $A's $X away. It flew over the $place_s, over the $place_s, and over \
the $adj $thing_s. "My $X!" $A $say_d. ^$A_he was very $feel.
[went]
1 fell into the $stuff
1 rolled under a $thing_s
1 slipped out of $A_his pocket
1 got left behind in the $R
[fear]
2 $A loved the day, but $A_he was afraid of the $adj $R. Every night $A_he heard a noise: \
"^$bang! ^$bang! ^$bang!" $A hid under the $thing_s and thought, "What if it is a $adj $animal_s?"
2 All the other children could $act_b, but $A could not. "I am too $feel," $A_he said. "What if \
I fall?" $B could $act_b very well, and $A wished that $A_he could $act_b like $B.
1 One night, $A could not sleep. There was a $adj shadow on the wall that looked like a \
$animal_s with $count $adj $thing_p. "$M!" $A $say_d. "There is a $animal_s in my $place_s!"
[quarrel]
2 $A and $B found a $Q $X$(in pp). "It is mine!" said $A. "No, I saw it first!" said $B. They \
pulled and pulled. $A pulled the $X, and $B pulled the $X, until $bang! The $X broke.
2 $B had a new $X. $A wanted to play with the $X too, but $B said, "No! You can't have it. You \
will break it." $A was $feel. ^$A_he $go_d $to and did not look back.
1 "My $X is better than your $X," said $A. "It is not!" $B $say_d. "Mine is $adj and yours is \
only $adj." They did not talk all day, and nobody could $act_b with them.
[beast]
3 Then $A heard a sound$(in pp). "^$bang," it went. $A looked behind the $thing_s and saw a \
little $N. The $N was $feel, because $(in clause_past). "Don't be scared, little $N," said $A.
2 On the way, $A met a $N. The $N had a $thing_s stuck in its foot and could not walk. "Please \
help me," said the $N. "I want to go back to the $R, but it hurts."
1 A $adj $N was sitting $(in pp_near). "Why are you so $feel?" asked $A. "Because I have lost my \
mother," said the $N. "She went to the $R, and she did not come back."
[tends]
3 $A picked up the $N very $adverb. ^$A_he gave it a $F and some $stuff. The $N ate the $F, and \
soon it was not so $feel. $B found a $thing_s and made a bed for the $N.
2 $A thought hard. First $A_he $vp_d. Then $A_he took the $N to the $R, where a $(as k person_s) \
$use_d it with a $thing_s. "You are a kind $A_kind," the $k said to $A.
1 "I can help you," said $A. $A and $B carried the $N all the way to the $R, even though \
$(in clause_past).
[thanks]
2 The next day, the $N came back with a $Q $X. "This is for you, $A," said the $N, "because you \
helped me." $A hugged the $N. From then on, $A and the $N $act_d together every day.
1 After $count days the $N could $act_b again. It looked at $A, $act_d $adverb, and $go_d back \
to the $R. $A was sad and glad at the same time. "Good bye, little $N!" $A_he $say_d.
[tricked]
1 But the $N was not nice at all. "Ha ha!" laughed the $N. "You believed me!" And the $N took \
the $F and ran away to the $R. $A learned to be careful with a $N that $vp_d.
[contest]
2 There was going to be a big race at the $P. $A wanted to win the $X. "I will win," said $B, \
who was $adj and fast. "You are too $adj to win, $A."
1 The $person_s said, "Whoever can $vp_b will get a $Q $X!" $A, $B and the other children \
clapped. $A practised every day: $A_he $act_d in the morning, and $A_he $act_d at night.
[race]
2 On the day of the race, $B ran so fast that everyone said, "Wow!" But then $B stopped to \
$vp_b. $A did not stop. $A went on and on, step by step: one, two, three, four. ^$clause_past. \
At last, $A came first, and $B came second. "You were right to go on," said $B.
1 "One... two... three... go!" $A and $B $go_d $to. $B fell over a $thing_s and hurt $B_his \
knee. $A could have won, but $A_he stopped and helped $B. They came in last, hand in hand, and \
everyone cheered. "That was better than a $X," said $A.
[trick]
1 $A liked to play tricks. "Help! There is a $N in the $P!" $A_he $say_d. All the $person_p came \
running, but there was no $N. $A laughed. The next day $A_he did it again: "Help! A $N! A $N!" \
Again they came, and again there was no $N. Then, one day, a real $N came. It was $adj and it \
$vp_d. "Help!" cried $A. But nobody came.
1 $A told $B a $notion_s: that $(in clause_past). It was not true. $B believed it, and $B_he \
$go_d $to to see it. ^$B_he waited and waited. When $B came back, $B_he was $feel and wet. "Why \
did you say that?" asked $B.
1 $M had made a $F for the party. "Do not eat the $F," said $M. But $A was so hungry that $A_he \
ate it all. When $M came back, the $plate was empty. "Who ate the $F?" $M asked. "It was the \
$animal_s," said $A, and looked at the floor.
[plate]
2 plate
1 bowl
1 table
[sorry]
3 $A felt $feel inside. ^$A_he went to $B and said, "I am sorry, $B. I should not have done \
that." $B $act_d and said, "It's okay. But please don't do it again." They hugged.
2 That night $A thought about it. "I was not $feel, I was wrong," $A_he thought. In the morning, \
$A_he told $M the truth. "Thank you for telling the truth," said $M. "Now let's $vp_b together."
1 "Let us be friends again," said $B. "Yes," said $A. "I don't like it when we fight." $A fixed \
the $X with some $stuff and gave it to $B.
[journey]
2 One $morning, $A packed a $thing_s, a $F, and $A_his $X, and set off for the $R. ^$A_he walked \
$to, past the $adj $place_s, and through a $place_s where $(in clause_past).
1 "I want to see the world," said $A. So $A_he $go_d $to. ^$when $A_he met a $N. "Where are you \
going?" asked the $N. "To the $R," said $A. "May I come with you?" asked the $N. And so they \
went on together.
[homeward]
1 At last they came to the $R. It was $adj and $adj, but $A missed $A_his bed and $A_his $X. "It \
is nice here," $A_he said, "but home is best." And they went all the way back.
1 When the sun went down, $A saw a light$(in pp). It was $M with a lamp! "There you are!" said \
$M. "Supper is ready. We have $F pie." $A was never so glad to see a $F pie.
[gift]
1 It was $M's birthday, and $A wanted to give $M_him something special. "I will make a $X," \
$A_he thought, "a $Q one with a $adj $thing_s on it." ^$A_he needed some $stuff, $count \
$thing_p, and a lot of $stuff.
[given]
1 When $M saw the $X, $M_he had tears in $M_his eyes. "Did you make this $X all by yourself?" \
$M_he asked. "$B helped me," said $A. "It is the best $X in the world," said $M.
[storm]
2 One $adj night there was a storm. The wind went "^$bang!" and the rain went "$bang, $bang, \
$bang". The $animal_p $go_d $to. $A looked for $A_his $X, but it was too dark to see.
1 It rained for $count days. The $place_s was full of $stuff, and nobody could $go_b $to. \
^$clause_past. "What shall we do?" said $B.
[baking]
2 $A and $M wanted to make a $F cake. "First we need $stuff, $stuff and $count $food_p," said \
$M. $A stirred the $stuff, and $M broke the eggs. Then the bowl fell off the table: $bang! There \
was $stuff on the floor, on the $thing_s, and on $A_his nose. $M looked at $A, and $A looked at \
$M, and they laughed and laughed.
[tries]
3 First, $A tried to $vp_b, but it did not work. Then $A_he tried to $vp_b. That did not work \
either. The $X was still $high_now. $A sat down and $feel_like.
2 $A had a $adj $notion_s. ^$A_he took a $thing_s and a $thing_s, and $A_he tied them together \
with $stuff. "Now I can $vp_b," $A_he thought. But $(in clause_past), and the $thing_s $act_d. \
"This is too hard," said $A.
1 So $A asked the $(as k person_s), "Can you help me?" "No," said the $k, "I must $vp_b." Then \
$A asked the $(as j animal_s). "No," said the $j, "I am too $feel." "Then I will do it myself," \
said $A.
[high_now]
1 far away
1 not in $A's hands
1 there
1 as $adj as before
[feel_like]
1 began to cry
1 did not know what to do
1 thought of $B
1 was very $feel
[helped]
3 $B came by and saw $A. "What is wrong?" $B asked. "I want the $X, but I can't $vp_b," said $A. \
"I know what to do," said $B. "If you hold the $thing_s, I can $vp_b." They worked together, and \
it worked!
2 Just then, $A heard a voice. It was $B. "Don't give up, $A! You can do it!" $A tried again, \
slowly and $adverb. One, two, three... and there it was: the $X!
1 A $adj $(as k person_s) came along, who $vp_d. "I was once little too," said the $k. \
^$whose_he gave $A the $X and a $F. "Thank you!" said $A.
[whose_he]
1 she
1 he
[searches]
3 $A looked in the $place_s. No $X. ^$A_he looked behind the $thing_s. No $X. ^$A_he looked \
under the $thing_s$(in pp), but there was only a $adj $(as j animal_s). "Have you seen my $X?" \
asked $A. "No," said the $j, "but I have seen $count $thing_p."
2 "Don't cry," said $B. "We will find your $X." They asked the $person_s, who $vp_d. They asked \
the $animal_p that $vp_t. Nobody had seen the $Q $X.
1 $A and $B followed the footprints from the $P to the $R. "Maybe the $animal_s took it," $B \
whispered. ^$clause_past.
[found]
2 Then $B $say_d, "Look, $A! Over there, in the $R!" And there was the $X, as $Q as before. "My \
$X!" cried $A. ^$A_he picked it up and held it tight.
2 At last, $A looked in the $R. Something $C was there. It was the $X! A little $N was sleeping \
on it. $A laughed. "You can keep the $X until you wake up," $A_he whispered to the $N.
1 That evening, $M came with something behind $M_his back. "Is this yours?" $M_he asked. It was \
the $X! "Where did you find it?" asked $A. "In the $R," said $M, "under the $thing_s."
[faces]
2 "Come," said $B, and took $A by the hand. "We will go and look." Step by step they $go_d $to. \
"^$bang!" $A closed $A_his eyes. Then $A_he opened them. It was only a $thing_s that the wind \
had moved! $A and $B laughed.
2 $M sat down next to $A. "When I was little, I was afraid of the $R too," said $M. "Do you know \
what I did? I sang a song." So $A sang: "^$song" And $A was not so $feel any more.
1 $A took a deep breath. ^$A_he counted: one, two, three. Then $A_he $vp_d. It was not so bad! \
"I did it!" $A $say_d. "I am not afraid of the $R any more!"
[song]
1 $bang, $bang, little $N, fly away, fly away home!
1 The $X is $Q, the $X is mine, and all the $noun_p $act_p just fine!
1 Oh $X, my $X, oh where did you go? To the $P, to the $R, in the wind and the snow!
[talk]
3 "Do you think that $(in clause_now)?" asked $A.
  "I don't know," said $B. "My $person_s says that $(in clause_now)."
  "$M says that too," said $A. "But I have never seen it."
2 "$A," $say_d $B, "can you $vp_b?"
  "Yes, I can," $say_d $A. "Can you?"
  "No, but I can $vp_b," said $B, and they both $act_d.
2 "I think that $(in clause_now)," said $B, "because $(in clause_now)."
  $A $act_d. "You are so $feel, $B!"
1 ^$clause_past. "Be careful, $A!" $say_d $M. "The $noun_s is $adj, and the $noun_p are $adj."
[middle]
3 On the way, ^$Acts. $B $vp_d, and $A $vp_d. ^$clause_past. $sight
2 $A and $B $go_d $to. They saw $np_t$(in rel_t) and $np_d. "Have you ever seen such a $adj \
$noun_s?" asked $B. "Never," said $A; "it is as $adj as $a_noun."
1 After that, $(in clause_past). The $person_s told them a story about $a_noun that $vp_d, and a \
$person_s who said, "^$clause_now."
[Acts]
1 $A $vp_d
1 $A and $B $vp_t
[shared]
3 "Let's share it," said $A. "First you can $use_b the $X, and then I can $use_b it." So $A and \
$B took turns. $B $act_d, and $A $act_d, and they were both $feel.
2 $A and $B played with the $X all day. ^$clause_past. They shared a $F under the $thing_s, half \
for $A and half for $B.
1 $A looked at the $X and then at the little $N. "You can have the $X," $A_he said. "I have a \
friend, and that is better."
[ending]
3 $A was very happy. ^$A_he learned that $moral.
2 From that day on, $A and $B always $act_d together$(or near_x). They were best friends.
2 "What did you learn today?" asked $M. $A thought for a moment. "I learned that $moral," $A_he \
said.
1 That night, $A lay in bed and thought of the $X, the $N and the $R. "Good night, $A," said $M. \
"Good night, $M," said $A, and soon $A_he was asleep.
1 And so $A never $use_d the $thing_s again without asking. Everybody was $feel, and they lived \
happily ever after.
1 They all $went_home, tired but happy. What a $adj day it had been!
[went_home]
1 went home
1 went back to the $place_s
1 sat down and ate $food_p
[near_x]
1  near the $P
1 , and sometimes the $N came too
[coda]
3 The end.
1 Moral: $virtue is better than a $thing_s.
1 The moral of the story is: $moral.
1 They lived happily ever after.
[moral]
4 $virtue is very important
3 it is good to share your $thing_p with your friends
2 it is better to ask before you $use_b a $thing_s
2 $virtue and $virtue make everything better
1 if you $act_b and do not give up, you can $vp_b
1 a $adj $thing_s is nothing without a friend to $act_b with
1 you should listen to your $person_s, even if you are $feel
1 being $feel is not as good as being $feel
1 one who tells lies is not believed, even when $(in clause_now)
"""

RULES = prose_rules(PLOTS)


def scene(rng: random.Random) -> Scene:
    """Who and what a story is about; often its characters are animals."""
    return Scene(rng, RULES, animals=0.35)


def write(stage: Scene) -> str:
    """A plot's beats, each a paragraph; those marked ``?`` may be left out."""
    beats = stage["story"].split()
    told = [beat.rstrip("?") for beat in beats if beat[-1] != "?" or stage.random() < 0.5]
    return stage.finish("\n\n".join([stage[beat] for beat in told]))


def document(rng: random.Random) -> str:
    """One story."""
    return write(scene(rng))
