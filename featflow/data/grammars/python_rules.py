"""The rules of the Python grammar; `python.py` gives the slots their meaning."""

MODULE = '''
[module_doc]
3 """$(title about)."""
2 """$(title noun)s: $about and $about."""
1 #!/usr/bin/env python3
  """$(title verb) $noun_p from a file, by $text."""
2 # $about
1 """The $noun_p: $about."""
[constants]
3 $constant
2 $constant
  $constant
1 $constant
  $constant
  $constant
[constant]
4 $(constant num) = $plain_num
3 $(constant str) = $plain_str
1 $(constant strs) = [$plain_str, $plain_str, $plain_str]
1 $(constant nums) = [$plain_num, $plain_num, $plain_num, $plain_num]
1 $(constant dict) = {$plain_str: $plain_num, $plain_str: $plain_num}
1 $(constant num) = $plain_num * $plain_num  # $about
1 logger = $(use logging).getLogger(__name__)
[errors]
2 class $(error_name x)(Exception):
      """Raised when $about."""
1 class $(error_name x)(ValueError):
      pass
[class_record]
3 class $(class record):
      """$(title about)."""
  ~
      $(init)
  ~
      $(methods 2)$(close)
2 @$(use dataclasses dataclass)
  class $(class record):
      """The $noun with its $number and $text."""
  ~
      $(attributes)
  ~
      $(methods 2)$(close)
1 class $(class record):
      $(init)
  ~
      def __repr__(self):
          return f"{type(self).__name__}({vars(self)})"
  ~
      $(methods 2)$(close)
[class_store]
2 class $(class store):
      """$(title about)."""
  ~
      $(init)
  ~
      $(methods 3)$(close)
1 class $(class store):
      # $about
      $(init)
  ~
      $(methods 2)
  ~
      def __len__(self):
          return len(self.$(own_list))$(close)
[store_use]
2 def $(fn num)($params)$(arrow):
      $(instance m) = $(make)
      $(body 2)
      $(invoke m)
      return $(result)$(end)
1 def test_$(fn flag num)():
      $p1 = $plain_num
      $(instance m) = $(make)
      $(invoke m)
      assert $(invoke m) == $plain_num$(end hidden)
[plain_method]
1 def $(fn)(self$more)$(arrow):
      $doc
      $(body)
      return $(result)$(end)
[method]
5 def $(fn)(self$more)$(arrow):
      $doc
      $(body)
      return $(result)$(end)
2 def $(fn num -)(self)$(arrow):
      return $num$(end)
2 @property
  def $(fn num -)(self)$(arrow):
      $doc
      $(body 1)
      return $(result)$(end)
2 def $(fn flag str)(self$more)$(arrow):
      if $p1 not in $dict:
          return False
      $(body 2)
      return True$(end)
2 def $(fn none num)(self$more):
      $doc
      $(own num) = $p1
      $(body 2)$(end)
1 @staticmethod
  def $(fn num num nums)($params)$(arrow):
      return sum($p2) / max(len($p2), $p1)$(end)
1 def $(fn none obj)(self$more):
      $doc
      $(own objs).append($p1)
      $(own dict)[$str] = $num
      $(body 1)$(end)
[plain_function]
1 def $(fn)($params)$(arrow):
      $doc
      $(body)
      return $(result)$(end)
[function]
7 def $(fn)($params)$(arrow):
      $doc
      $(body)
      return $(result)$(end)
2 def $(fn)($params, $(default num d))$(arrow):
      $doc
      $(body)
      if $d > $num:
          $(block)
      return $(result)$(end)
2 def $(fn objs objs str)($params)$(arrow):
      $doc
      $(new objs r) = []
      for $(each obj x) in $p1:
          $(block 1)
          if $(field str) == $p2:
              $r.append($x)
      return $r$(end)
2 def $(fn dict objs)($params)$(arrow):
      $doc
      $(new dict r) = {}
      for $(each obj x) in $p1:
          $r[$(field str)] = $r.get($(field str), 0) + $(field num)
          $(block 1)
      return $r$(end)
2 def $(fn num nums)($params)$(arrow):
      $doc
      $(new num r) = 0
      for $(each num x) in $p1:
          if $x $compare $plain_num:
              continue
          $r += $x
          $(block 1)
      return $r$(end)
1 def $(fn num num)($params)$(arrow):
      $doc
      if $p1 <= 1:
          return 1
      return $p1 * $me($p1 - 1)$(end)
1 @$(use functools lru_cache)(maxsize=None)
  def $(fn num num num)($params)$(arrow):
      if $p1 $compare $p2:
          return $num
      $(body 1)
      return $me($p1 - 1, $p2) + $me($p1, $p2 - 1)$(end)
2 def $(fn none strs)($params):
      $doc
      for $(each num i), $(each str x) in enumerate($p1):
          $(block)
          yield $i, $x$(end)
2 def $(fn dict str)($params)$(arrow):
      $doc
      try:
          with open($p1) as stream:
              return $(use json).load(stream)
      except FileNotFoundError:
          return {}
      except $(use json).JSONDecodeError as error:
          raise ValueError(f"bad file {$p1}") from error$(end)
2 def $(fn num str)($params)$(arrow):
      $doc
      try:
          $(new num x) = int($p1)
      except ValueError:
          return $plain_num
      $(body)
      return $x$(end)
1 def $(fn num dict str)($params)$(arrow):
      $doc
      try:
          return $p1[$p2]
      except KeyError:
          $(block 1)
          raise$(end)
1 def $(fn none str)($params):
      """$(title about)."""
      def decorator(function):
          def wrapper(*args, **kwargs):
              print(f"{$p1}: {function.__name__}")
              return function(*args, **kwargs)
          return wrapper
      return decorator$(end)
1 def $(fn none num)(*args, $params, **kwargs):
      $doc
      $(body)
      return [arg for arg in args if arg != $p1]$(end)
1 def test_$(fn flag nums num)():
      $p1 = [$plain_num, $plain_num, $plain_num]
      $p2 = $plain_num
      $(body 2)
      assert $flag
      assert len($p1) == 3$(end hidden)
[doc]
3 $docstring
4 $(nothing)
1 # $about
[docstring]
3 """$(title fn_words): $about."""
2 """$(title about)."""
1 """$(title fn_words).
  ~
  Return the $number of the $noun, or zero if $about.
  """
1 """$(title fn_words), so that $about.
  ~
  >>> $me($plain_num)
  $plain_num
  """
[step]
4 $(new num x) = $(call num)
3 $(new str x) = $(call str)
2 $(new objs x) = $objs
2 print($(call num))
2 print(f"$phrase: {$(bare num)}")
2 $assignment
1 if $(call flag):
      $(block 1)
1 $(hold n objs)for $(each obj x) in $n:
      print($(field str), $(field num))
[plain_last]
1 $(steps 4)
[last]
2 if __name__ == "__main__":
      $(steps 5)
2 def main():
      $(new objs x) = $plain_objs
      $assignment
      $(steps 5)
      return 0
  ~
  ~
  if __name__ == "__main__":
      $(use sys).exit(main())
1 def main(argv=None):
      parser = $(use argparse).ArgumentParser(description="$phrase")
      parser.add_argument("--$(name noun)", default=$plain_str, help="$about")
      parser.add_argument("--$(as a name number)", type=int, default=$plain_num)
      args = parser.parse_args(argv)
      $(new num x) = args.$a
      $(steps 4)
  ~
  ~
  if __name__ == "__main__":
      main()
1 $(steps 4)
1 __all__ = [$plain_str, $plain_str]
'''

STATEMENTS = """
[statement]
9 $assignment
9 $simple
2 if $flag:
      $(block)
3 if $flag:
      $(block)
  else:
      $(block)
1 if $(as y var str) == $plain_str:
      $(block)
  elif $y == $plain_str:
      $(block)
  else:
      $(block)
2 if not $flag_name:
      return $(value)
2 if $(as y var num) $compare $num:
      return $(value)
  $(block 1)
3 for $(each num x) in $nums_name:
      $(block)
3 for $(each obj x) in $objs_name:
      $(block)
3 for $(each str x) in $strs_name:
      $(block)
1 $(hold n num_name)for $(each num x) in range($n):
      $(block)
2 for $(each num i), $(each obj x) in enumerate($objs_name):
      $(block)
2 for $(each str x), $(each num y) in $(known dict).items():
      $(block)
1 for $(each str x), $(each num y) in zip($strs_name, $nums_name):
      $(block)
1 while $(as y local num) $compare $plain_num:
      $y -= 1
      $(block)
1 while $(as y local nums):
      $(each num x) = $y.pop()
      $(block)
1 while True:
      $(block 1)
      if $flag:
          break
2 for $(each obj x) in $objs_name:
      if $flag:
          continue
      $(block)
1 with open($str_name) as stream:
      for $(each str x) in stream:
          $(block)
1 with open($str_name, "w") as stream:
      stream.write($str)
4 $guarded
1 with $(use threading).Lock():
      $(block)
1 # $note
  $statement
1 # $note
  $simple
[guarded]
4 try:
      $(new num x) = int($str_name)
  except ValueError:
      $handler
4 try:
      $(new num x) = $(known dict)[$str]
  except KeyError:
      $handler
2 try:
      $(new num x) = $num_name / $num_name
  except ZeroDivisionError:
      $x = 0
2 try:
      $(new num x) = $nums_name[$num_name]
  except IndexError:
      $handler
1 try:
      $(each obj x) = $(local objs).pop()
  except IndexError as error:
      raise LookupError("$phrase") from error
1 try:
      $(new str x) = open($str_name).read()
  except OSError as error:
      print(f"$phrase: {error}")
      $handler
2 try:
      $(block)
  except $exception as error:
      $(use logging).warning("$phrase: %s", error)
  finally:
      $(block 1)
2 try:
      $(block)
  except ($exception, $exception):
      $handler
1 try:
      $(block 1)
  except $exception:
      raise
  else:
      $(block 1)
1 try:
      $(new dict x) = $(use json).loads($str_name)
  except $(use json).JSONDecodeError as error:
      raise ValueError("$phrase") from error
1 with $(use contextlib suppress)(KeyError):
      del $(known dict)[$str_name]
[handler]
4 $(block 1)
2 print($str)
2 raise
1 pass
2 return $(value)
1 raise $exception($text_quoted)
[exception]
4 ValueError
3 KeyError
3 TypeError
2 RuntimeError
2 OSError
1 IndexError
1 AttributeError
1 TimeoutError
1 NotImplementedError
3 $(raised)
[text_quoted]
3 "$phrase"
2 f"$phrase: {$(bare num)}"
1 f"{$(bare str)}: $phrase"
[compare]
3 >
2 <
2 >=
1 <=
2 ==
1 !=
[augment]
5 +=
2 -=
1 *=
1 //=
[simple]
5 $assignment
3 $(local num) $augment $num
2 $(local nums).append($num)
2 $(local strs).append($str)
2 $(local objs).append($obj)
2 $(as y local dict)[$(as k str)] = $y.get($k, 0) + $num
2 $(local dict)[$str_name] = $num
3 print($str)
1 print($str_name, $num)
1 assert $flag, $text_quoted
1 $(local nums).sort(reverse=True)
1 $(local objs).sort($(let obj x)key=lambda $x: $(field num))
1 $(local strs).extend($strs)
1 if $flag:
      raise $exception($text_quoted)
1 $(use logging).info("$phrase: %s", $str_name)
1 $(new num x), $(new num y) = $num, $num
1 del $(local dict)[$str_name]
1 $(local flag) = not $flag_name
[assignment]
5 $(new num x) = $num
4 $(new str x) = $str
2 $(new flag x) = $flag
2 $(new nums x) = $nums
2 $(new strs x) = $strs
2 $(new objs x) = $objs
2 $(new obj x) = $obj
2 $(new dict x) = $dict
"""

EXPRESSIONS = """
[none]
1 None
[@_name | @=num str flag nums strs objs obj dict]
1 $(known @)
[@_arg | @=num str flag nums strs objs obj dict]
4 $(known @)
1 $@
[flag_arg]
1 $flag
[some_num]
9 $num_name
3 $plain_num
2 $num_name + $num_arg
2 $num_name - $num_arg
2 $num_name * $plain_num
1 ($num_name + $num_name) // $divisor
1 $num_name % $divisor
1 $num_name ** 2
1 len($objs_name)
1 len($nums_name)
1 len($str_name)
1 max($num_name, $num_arg)
1 min($nums_name)
2 sum($nums_name)
1 $nums_name[0]
1 $nums_name[-1]
2 $(known dict).get($str_name, 0)
1 $(known dict)[$str_name]
3 $(call num)
3 $(method num)
1 abs($num_name - $num_name)
1 $(use math).sqrt($num_name)
1 $(use math).floor($num_name / $divisor)
1 $(use random).randint(0, $num_name)
1 $(use time).time()
1 round($num_name / $divisor, $(number 4))
1 ($num_name if $flag else $num_arg)
1 $(let obj x)sum($(field num) for $x in $objs_name)
1 $(let num x)sum($x * $x for $x in $nums_name)
1 int($str_name)
[some_str]
8 $str_name
3 $plain_str
3 f"$phrase: {$(bare num)}"
2 f"{$(bare str)}: {$(bare num)}"
1 f"{$(bare str)} $state {$(bare str)}"
1 f"{len($(bare strs))} $noun_p"
1 $str_name + $str_arg
1 $str_name.strip()
1 $str_name.lower()
1 $str_name.upper()
1 $str_name.replace($plain_str, "_")
1 $str_name[:$(number 9)]
2 ", ".join($strs_name)
1 str($num_name)
1 $strs_name[0]
2 $(call str)
2 $(method str)
1 "%s: %d" % ($str_name, $num_name)
1 "{}, {}".format($str_name, $num_name)
1 ($plain_str if $flag else $str_name)
1 $(use os).path.join($str_name, $plain_str)
1 $(use os).environ.get("$(upper noun)", $plain_str)
1 $(use re).sub(r"\\s+", " ", $str_name)
[some_flag]
4 $flag_name
5 $(var num) $compare $num_arg
3 $(var str) == $plain_str
2 $(var str) in $(known dict)
1 $(var str) in $strs_name
1 $(var str) not in $strs_name
1 not $flag_name
2 $(var num) $compare $plain_num and $flag_name
1 $flag_name or $(var str) == $plain_str
1 $(var str).startswith($plain_str)
1 $(var str).endswith($plain_str)
1 isinstance($(var num), int)
1 $(let num x)any($x $compare $plain_num for $x in $nums_name)
1 $(let str x)all($x.isdigit() for $x in $strs_name)
2 $(call flag)
2 $(method flag)
1 len($objs_name) $compare $plain_num
1 $plain_num <= $(var num) < $plain_num
1 $(var str) is None
1 $(var num) is not None
[some_nums]
3 $nums_name
2 $(let num x)[$x $arith $plain_num for $x in $nums_name]
1 $(let num x)[$x for $x in $nums_name if $x $compare $num_name]
2 $(let obj x)[$(field num) for $x in $objs_name]
1 sorted($nums_name)
1 $nums_name[$(number 5):]
1 list(range($num_name))
1 list($(known dict).values())
1 $(let str x)[len($x) for $x in $strs_name]
1 $(call nums)
1 []
[arith]
2 *
2 +
1 -
1 //
1 %
[some_strs]
3 $strs_name
2 $str_name.split(",")
1 $str_name.split()
2 $(let obj x)[$(field str) for $x in $objs_name]
1 $(let str x)[$x.strip() for $x in $strs_name]
1 $(let str x)[$x for $x in $strs_name if $x]
1 sorted(set($strs_name))
1 list($(known dict))
1 $(call strs)
1 []
1 [$plain_str, $plain_str]
[some_objs]
3 $objs_name
2 $(let obj x)[$x for $x in $objs_name if $(field num) $compare $num_name]
1 $(let obj x)[$x for $x in $objs_name if $(field str) == $str_name]
1 $(let obj x)sorted($objs_name, key=lambda $x: $(field num))
1 $objs_name[:$(number 9)]
1 list(reversed($objs_name))
2 $(call objs)
2 []
1 [$(record), $(record)]
[some_obj]
3 $obj_name
2 $objs_name[0]
3 $(record)
1 $(let obj x)max($objs_name, key=lambda $x: $(field num))
1 $(let obj x)next(($x for $x in $objs_name if $(field str) == $str_name), None)
[some_dict]
2 $(known dict)
3 {}
1 {$plain_str: $num_arg, $plain_str: $num_arg}
2 $(let obj x){$(field str): $(field num) for $x in $objs_name}
1 dict(zip($strs_name, $nums_name))
1 $(use collections Counter)($strs_name)
1 $(use collections defaultdict)(int)
1 {key: value for key, value in $(known dict).items() if value $compare $plain_num}
2 $(call dict)
[plain_flag]
1 True
1 False
[plain_nums]
2 [$plain_num, $plain_num, $plain_num]
1 []
1 range($(number 20))
[plain_strs]
2 [$plain_str, $plain_str]
1 []
[plain_objs]
2 [$(record), $(record)]
1 []
[plain_obj]
1 $(record)
[plain_dict]
2 {$plain_str: $plain_num, $plain_str: $plain_num}
1 {}
"""
