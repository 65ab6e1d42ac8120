# The longest cases start first: one that starts last leaves the other cores idle until it ends.
foreach(case
    "a change at every byte and every truncation of header, small part and big part is refused"
    "a model bound to a machine opens there in every disturbance, and on no other machine"
    "a policy opens for exactly the sets that it allows"
    "the last of 32 machines opens, and costs every factor of every slot once")
  set_tests_properties("${case}" PROPERTIES COST 100)
endforeach()
