# SPDX-License-Identifier: Apache-2.0
# One interface target carries every warning and hardening flag; each is probed, none assumed.
include(CheckCCompilerFlag)
include(CheckLinkerFlag)

add_library(coffer-flags INTERFACE)
target_compile_features(coffer-flags INTERFACE c_std_17)
target_include_directories(coffer-flags INTERFACE ${PROJECT_SOURCE_DIR}/include)
target_compile_definitions(coffer-flags INTERFACE _GNU_SOURCE _FILE_OFFSET_BITS=64)

option(COFFER_SANITIZE "Build with AddressSanitizer and UndefinedBehaviorSanitizer" OFF)
option(COFFER_ANALYZE "Compile with gcc's -fanalyzer" OFF)

function(coffer_compile_flag flag)
  string(MAKE_C_IDENTIFIER "HAVE${flag}" have)
  check_c_compiler_flag("-Werror ${flag}" ${have})
  if(${have})
    target_compile_options(coffer-flags INTERFACE ${flag})
  endif()
endfunction()

function(coffer_link_flag flag)
  string(MAKE_C_IDENTIFIER "HAVE_LINK${flag}" have)
  check_linker_flag(C "${flag}" ${have})
  if(${have})
    target_link_options(coffer-flags INTERFACE ${flag})
  endif()
endfunction()

foreach(flag
    -Wall -Wextra -Werror -Wformat=2 -Wshadow -Wstrict-prototypes -Wmissing-prototypes
    -Wold-style-definition -Wwrite-strings -Wundef -Wvla -Wpointer-arith -Wcast-qual
    -Wimplicit-fallthrough -Wnull-dereference -Wduplicated-cond -Wlogical-op -Wno-unused-parameter
    -Wno-missing-field-initializers
    -fstack-protector-strong -fstack-clash-protection -fcf-protection=full -fno-strict-overflow
    -ftrivial-auto-var-init=zero -fvisibility=hidden)
  coffer_compile_flag(${flag})
endforeach()
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
foreach(flag -pie -Wl,-z,relro -Wl,-z,now -Wl,-z,noexecstack -Wl,-z,separate-code -Wl,--as-needed)
  coffer_link_flag(${flag})
endforeach()

if(COFFER_SANITIZE)
  target_compile_options(coffer-flags INTERFACE -fsanitize=address,undefined
    -fno-sanitize-recover=all -fno-omit-frame-pointer)
  target_link_options(coffer-flags INTERFACE -fsanitize=address,undefined)
  target_compile_definitions(coffer-flags INTERFACE COFFER_SANITIZE=1)
elseif(NOT CMAKE_BUILD_TYPE STREQUAL "Debug")
  target_compile_options(coffer-flags INTERFACE -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2)
endif()
if(COFFER_ANALYZE)
  # gcc 12 loses sight of pointers stored through an index; leaks are LeakSanitizer's to find.
  target_compile_options(coffer-flags INTERFACE -fanalyzer -Wno-analyzer-malloc-leak)
endif()
