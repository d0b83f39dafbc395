# SPDX-License-Identifier: Apache-2.0
# Language level and flags of every target.
set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE Release)
endif()
set(CMAKE_CXX_FLAGS_RELEASE "-O2")

# NUMERICS.md: no contraction, no fast-math anywhere.
add_compile_options(-ffp-contract=off)
# The same objects from a clone in another folder, so that ccache hits.
add_compile_options(-ffile-prefix-map=${CMAKE_SOURCE_DIR}=.)

find_program(CCACHE_PROGRAM ccache)
if(CCACHE_PROGRAM AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
  set(ccache_env CCACHE_BASEDIR=${CMAKE_SOURCE_DIR} CCACHE_NOHASHDIR=1)
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CMAKE_COMMAND} -E env ${ccache_env} ${CCACHE_PROGRAM})
  set(CMAKE_C_COMPILER_LAUNCHER ${CMAKE_CXX_COMPILER_LAUNCHER})
endif()

find_program(LLD_PROGRAM ld.lld)
if(LLD_PROGRAM)
  add_link_options(-fuse-ld=lld)
  # GCC can leave an empty cold part of a function. Its unwind entry has the address of the cold part that follows, and lld 14 keeps
  # only one entry an address in .eh_frame_hdr: an exception thrown in the other function then ends the process.
  if(CMAKE_CXX_COMPILER_ID STREQUAL GNU)
    add_compile_options($<$<COMPILE_LANGUAGE:C,CXX>:-fno-reorder-blocks-and-partition>)
  endif()
endif()

if(TOKENWORKS_SANITIZE)
  add_compile_options(-fsanitize=${TOKENWORKS_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all)
  add_link_options(-fsanitize=${TOKENWORKS_SANITIZE})
  set(CMAKE_CXX_FLAGS_RELEASE "-O1 -g1")
endif()

# libFuzzer's counters, with clang: tests/fuzz/run.sh.
if(TOKENWORKS_FUZZER)
  add_compile_options(-fsanitize=fuzzer-no-link)
endif()

# Warnings are errors on our own code only.
set(TOKENWORKS_WARNINGS -Wall -Wextra -Werror -Wno-missing-field-initializers)
