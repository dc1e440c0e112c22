# SPDX-License-Identifier: Apache-2.0
# coffer_embed_text(target file symbol): builds `file` into `target` as `const char symbol[]` with a NUL behind it.
# The C file is made at build time, in the binary folder, whenever `file` changes. Users declare it themselves:
#	extern const char symbol[];
#
# Run as a script (cmake -P) this same file does the work.
if(CMAKE_SCRIPT_MODE_FILE)
  file(READ "${INPUT}" hex HEX)
  string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," bytes "${hex}")
  string(REGEX REPLACE "(0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,)"
    "\\1\n" bytes "${bytes}")
  file(WRITE "${OUTPUT}" "extern const char ${SYMBOL}[];\nconst char ${SYMBOL}[] = {\n${bytes}0x00};\n")
  return()
endif()

set(COFFER_EMBED_SCRIPT ${CMAKE_CURRENT_LIST_FILE})

function(coffer_embed_text target file symbol)
  set(output ${CMAKE_CURRENT_BINARY_DIR}/${symbol}.c)
  add_custom_command(OUTPUT ${output}
    COMMAND ${CMAKE_COMMAND} -DINPUT=${file} -DOUTPUT=${output} -DSYMBOL=${symbol} -P ${COFFER_EMBED_SCRIPT}
    DEPENDS ${file} ${COFFER_EMBED_SCRIPT}
    COMMENT "Embedding ${symbol}" VERBATIM)
  target_sources(${target} PRIVATE ${output})
endfunction()
