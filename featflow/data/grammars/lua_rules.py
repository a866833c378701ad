"""The rules of the Lua grammar; `lua.py` gives the slots their meaning."""

MODULE = """
[module_doc]
3 -- $(title about).
2 --- $(title noun)s: $about and $about.
1 --[[
      $(title verb) $noun_p by $text.
      $(title note).
  ]]
1 -- $note
[constants]
3 $constant
2 $constant
  $constant
1 $constant
  $constant
  $constant
[constant]
4 local $(constant num) = $plain_num
3 local $(constant str) = $plain_str
1 local $(constant strs) = { $plain_str, $plain_str, $plain_str }
1 local $(constant nums) = { $plain_num, $plain_num, $plain_num }
1 local $(constant dict) = { $(name noun) = $plain_num, [$plain_str] = $plain_num }
1 local $(constant num) = $plain_num * $plain_num -- $about
1 local $(constant num), $(constant num) = $plain_num, $plain_num
[class_record]
2 -- $(title about).
  local $(class record) = {}
  $(cls).__index = $(cls)
  ~
  $(init)
  ~
  $(methods 2)$(close)
1 local $(class record) = {}
  $(cls).__index = $(cls)
  ~
  $(init)
  ~
  $(cls).__tostring = function(self)
      return "$noun " .. tostring(self.$(first_field))
  end
  ~
  $(methods 2)$(close)
[class_store]
3 local $(class store) = {}
  $(cls).__index = $(cls)
  ~
  $(init)
  ~
  $(methods 3)$(close)
1 -- $note
  local $(class store) = setmetatable({}, { __call = function(cls, ...) return cls.new(...) end })
  $(cls).__index = $(cls)
  ~
  $(init)
  ~
  $(methods 2)$(close)
[store_use]
2 $(def num)
      local $(instance m) = $(make)
      $(body 2)
      $(invoke m)
      return $(result)
  end$(end)
1 do
      local $(instance m) = $(make)
      $(invoke m)
      print($(invoke m))
  end
[plain_method]
1 $(def)
      $doc
      $(body)
      return $(result)
  end$(end)
[method]
6 $(plain_method)
2 $(def num -)
      return $num
  end$(end)
2 $(def flag str)
      if not $(var dict)[$p1] then
          return false
      end
      $(body 2)
      return true
  end$(end)
2 $(def none num)
      $doc
      $(own num) = $p1
      $(body 2)
  end$(end)
2 $(def none obj)
      $doc
      table.insert($(own objs), $p1)
      $(own dict)[$str] = $num
      $(body 1)
  end$(end)
1 $(def num -)
      $doc
      $(body 1)
      return #$(own objs)
  end$(end)
[plain_function]
1 $(def)
      $doc
      $(body)
      return $(result)
  end$(end)
[function]
7 $(plain_function)
2 $(def objs objs str)
      $doc
      local $(new objs r) = {}
      for _, $(each obj x) in ipairs($p1) do
          $(block 1)
          if $(field str) == $p2 then
              $r[#$r + 1] = $x
          end
      end
      return $r
  end$(end)
2 $(def dict objs)
      $doc
      local $(new dict r) = {}
      for _, $(each obj x) in ipairs($p1) do
          local $(each str y) = $(field str)
          $r[$y] = ($r[$y] or 0) + $(field num)
          $(block 1)
      end
      return $r
  end$(end)
2 $(def num nums)
      $doc
      local $(new num r) = 0
      for i = 1, #$p1 do
          if $p1[i] $compare $plain_num then
              $r = $r + $p1[i]
          end
          $(block 1)
      end
      return $r
  end$(end)
1 $(def num num)
      $doc
      if $p1 <= 1 then
          return 1
      end
      return $p1 * $me($p1 - 1)
  end$(end)
1 $(def strs str)
      $doc
      local $(new strs r) = {}
      for word in string.gmatch($p1, "%a+") do
          $r[#$r + 1] = string.lower(word)
      end
      $(body 1)
      return $r
  end$(end)
1 $(def none num)
      $doc
      local $(new num x) = 0
      return function()
          $x = $x + 1
          if $x <= $p1 then
              return $x
          end
      end
  end$(end)
1 $(def num str)
      $doc
      local file = io.open($p1, "r")
      if file == nil then
          return nil, "could not open " .. $p1
      end
      local $(new num x) = 0
      for line in file:lines() do
          $x = $x + #line
          $(block 1)
      end
      file:close()
      return $x
  end$(end)
1 $(def num num nums)
      $doc
      local low, high = 1, #$p2
      while low <= high do
          local middle = math.floor((low + high) / 2)
          if $p2[middle] == $p1 then
              return middle
          elseif $p2[middle] < $p1 then
              low = middle + 1
          else
              high = middle - 1
          end
      end
      return nil
  end$(end)
1 local $(name function_none) = function(...)
      local args = { ... }
      for i = 1, select("#", ...) do
          print(i, args[i])
      end
      return #args
  end
1 $(def flag strs str)
      for _, $(each str x) in ipairs($p1) do
          if $x == $p2 then
              return true
          end
      end
      return false
  end$(end)
[doc]
3 -- $(title fn_words): $about.
4 $(nothing)
1 -- $note
1 --- Returns the $number of the $noun if $about.
[step]
4 local $(new num x) = $(call num)
3 local $(new str x) = $(call str)
2 local $(new objs x) = $objs
2 print($(call num))
2 print($str .. ": " .. $num)
2 $assignment
1 if $(call flag) then
      $(block 1)
  end
1 $(hold n objs)for _, $(each obj x) in ipairs($n) do
      print($(field str), $(field num))
  end
1 assert($flag, "$phrase")
[plain_last]
1 $(steps 4)
[last]
3 $(steps 5)
1 do
      $(steps 4)
  end
1 local function main()
      local $(new objs x) = $plain_objs
      $assignment
      $(steps 5)
  end
  ~
  main()
1 -- tests
  assert($flag)
  assert($num $compare $plain_num, "$phrase")
"""

STATEMENTS = """
[statement]
9 $assignment
9 $simple
2 if $flag then
      $(block)
  end
3 if $flag then
      $(block)
  else
      $(block)
  end
1 if $(as y var str) == $plain_str then
      $(block)
  elseif $y == $plain_str then
      $(block)
  else
      $(block)
  end
2 if not $flag_name then
      return $(value)
  end
2 if $(var num) $compare $num then
      return $(value)
  end
  $(block 1)
2 for i, $(each num x) in ipairs($nums_name) do
      $(block)
  end
3 for _, $(each obj x) in ipairs($objs_name) do
      $(block)
  end
2 for _, $(each str x) in ipairs($strs_name) do
      $(block)
  end
2 $(hold n num_name)for $(each num x) = 1, $n do
      $(block)
  end
2 for i = 1, #$(as y nums_name) do
      local $(each num x) = $y[i]
      $(block)
  end
1 for i = #$(as y objs_name), 1, -1 do
      local $(each obj x) = $y[i]
      $(block)
  end
2 for $(each str x), $(each num y) in pairs($(known dict)) do
      $(block)
  end
1 while $(as y local num) $compare $plain_num do
      $y = $y - 1
      $(block)
  end
1 while #$(as y local nums) > 0 do
      local $(each num x) = table.remove($y)
      $(block)
  end
2 repeat
      $(block)
      $(as y local num) = $y + 1
  until $y $compare $num_arg
1 for _, $(each obj x) in ipairs($objs_name) do
      if $flag then
          goto continue
      end
      $(block)
      ::continue::
  end
1 for _, $(each str x) in ipairs($strs_name) do
      $(block 1)
      if $flag then
          break
      end
  end
1 do
      $(block)
  end
2 $guarded
1 local function $(as f name function_none)($(each num x))
      $(block 1)
      return $x $operator $num_name
  end
  $assignment
  print($f($num_name))
1 -- $note
  $statement
1 -- $note
  $simple
[guarded]
2 local $(new flag x), err = pcall(function()
      $(block)
  end)
  if not $x then
      print("$phrase: " .. tostring(err))
  end
1 local $(new num x) = tonumber($str_name)
  if $x == nil then
      error("$phrase: " .. $str_name)
  end
1 if $flag then
      error($text_quoted)
  end
1 local $(new num x) = assert(tonumber($str_name), "$phrase")
1 if $(known dict)[$str_name] == nil then
      return nil, $text_quoted
  end
[text_quoted]
3 "$phrase"
2 "$phrase: " .. $str_name
1 string.format("%s: %d", $str_name, $num_name)
[compare]
3 >
2 <
2 >=
1 <=
2 ==
1 ~=
[operator]
3 +
2 -
1 *
[simple]
5 $assignment
4 $(as y local num) = $y $operator $num
2 table.insert($(local nums), $num)
2 table.insert($(local strs), $str)
2 $(as y local objs)[#$y + 1] = $obj
3 $(as y local dict)[$(as k str_name)] = ($y[$k] or 0) + $num
2 $(local dict)[$str_name] = $num
2 $(as y local str) = $y .. $str
2 print($str)
1 print($str_name, $num_name)
1 assert($flag, "$phrase")
1 table.sort($(local nums))
1 table.sort($(local objs), function(a, b) return a.$(number_field) < b.$(number_field) end)
1 local $(new num x), $(new num y) = $num, $num
1 $(as y local nums)[1], $y[2] = $y[2], $y[1]
1 $(local dict)[$str_name] = nil
1 $(as y local flag) = not $y
1 io.write($str, "\\n")
[assignment]
5 local $(new num x) = $num
4 local $(new str x) = $str
2 local $(new flag x) = $flag
2 local $(new nums x) = $nums
2 local $(new strs x) = $strs
2 local $(new objs x) = $objs
2 local $(new obj x) = $obj
2 local $(new dict x) = $dict
"""

EXPRESSIONS = """
[none]
1 nil
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
1 ($num_name + $num_name) / $divisor
1 $num_name % $divisor
1 $num_name ^ 2
2 #$objs_name
2 #$nums_name
1 #$strs_name
2 math.max($num_name, $num_arg)
1 math.min($num_name, $num_arg)
2 math.floor($num_name / $divisor)
1 math.sqrt($num_name)
1 math.random(1, $num_name)
1 $nums_name[1]
1 (function(t) return t[#t] end)($nums_name)
3 ($(known dict)[$str_name] or $plain_num)
3 $(call num)
3 $(method num)
1 $flag_name and $num_name or $plain_num
1 tonumber($str_name) or $plain_num
1 string.len($str_name)
1 os.time()
[some_str]
7 $str_name
3 $plain_str
3 $str_name .. ": " .. $num_name
2 "$phrase: " .. $str_name
3 string.format("%s: %d", $str_name, $num_name)
2 string.format("$noun %s has %d $noun_p", $str_name, #$objs_name)
1 string.upper($str_name)
1 string.lower($str_name)
1 string.sub($str_name, 1, $divisor)
1 string.gsub($str_name, "%s+", "_")
1 string.rep($plain_str, $num_name)
2 table.concat($strs_name, ", ")
1 tostring($num_name)
1 $strs_name[1]
2 $(call str)
2 $(method str)
1 $flag_name and $plain_str or $str_name
1 $(var str) or $plain_str
1 os.getenv("$(upper noun)") or $plain_str
[some_flag]
4 $flag_name
5 $(var num) $compare $num_arg
3 $(var str) == $plain_str
2 $(known dict)[$str_name] ~= nil
1 $(var str) ~= $plain_str
1 not $flag_name
2 $(var num) $compare $plain_num and $flag_name
1 $flag_name or $(var str) == $plain_str
1 string.find($(var str), $plain_str) ~= nil
1 type($(var num)) == "number"
1 type($(var str)) ~= "string"
2 $(call flag)
2 $(method flag)
2 #$objs_name $compare $plain_num
1 next($(known dict)) == nil
1 $(var num) ~= nil
[some_nums]
3 $nums_name
2 { $num_name, $num_arg, $num_arg }
2 {}
1 { table.unpack($nums_name, 1, $divisor) }
2 $(call nums)
[some_strs]
3 $strs_name
2 { $str_name, $plain_str }
2 {}
2 $(call strs)
[some_objs]
3 $objs_name
2 {}
2 $(call objs)
1 { $(record), $(record) }
1 { $obj_name }
[some_obj]
3 $obj_name
2 $objs_name[1]
1 $objs_name[$num_name]
4 $(record)
[some_dict]
2 $(known dict)
3 {}
2 { $(name noun) = $num_arg, $(name text) = $num_arg }
1 { [$str_name] = $num_name }
1 setmetatable({}, { __index = function() return $plain_num end })
2 $(call dict)
[plain_nums]
2 { $plain_num, $plain_num, $plain_num }
1 {}
[plain_strs]
2 { $plain_str, $plain_str }
1 {}
[plain_objs]
2 { $(record), $(record) }
1 {}
[plain_obj]
1 $(record)
[plain_dict]
2 { $(name noun) = $plain_num, $(name text) = $plain_num }
1 {}
[plain_flag]
1 true
1 false
"""
