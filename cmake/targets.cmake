# SPDX-License-Identifier: Apache-2.0

# tokenworks_library(NAME SOURCES a.cc … DEPS x …)
# One static library tokenworks_NAME with the alias tokenworks::NAME, and a link test that proves
# that the library links with nothing but the dependencies it declares.
function(tokenworks_library name)
  cmake_parse_arguments(A "" "" "SOURCES;DEPS" ${ARGN})
  set(target tokenworks_${name})
  add_library(${target} STATIC ${A_SOURCES})
  add_library(tokenworks::${name} ALIAS ${target})
  target_include_directories(${target} PUBLIC ${PROJECT_SOURCE_DIR}/include ${PROJECT_SOURCE_DIR}/src
                                              ${PROJECT_SOURCE_DIR})
  target_link_libraries(${target} PUBLIC absl::status absl::statusor ${A_DEPS})
  target_compile_options(${target} PRIVATE ${TOKENWORKS_WARNINGS})
  if(TOKENWORKS_TESTS)
    add_executable(link_${name} EXCLUDE_FROM_ALL ${PROJECT_SOURCE_DIR}/tests/link/main.cc)
    target_link_libraries(link_${name} PRIVATE
      -Wl,--whole-archive ${target} -Wl,--no-whole-archive)
    add_dependencies(tokenworks_link_tests link_${name})
  endif()
endfunction()

if(TOKENWORKS_TESTS)
  add_custom_target(tokenworks_link_tests)
  # Unit tests free of gRPC: what the sanitizer builds build and run.
  add_custom_target(tokenworks_core_tests)
endif()

# tokenworks_test(NAME SOURCES a_test.cc … DEPS x … [LABELS unit])
# One GoogleTest binary; its working directory is the source root, so golden files open by relative path.
function(tokenworks_test name)
  cmake_parse_arguments(A "" "TIMEOUT" "SOURCES;DEPS;LABELS" ${ARGN})
  if(NOT A_LABELS)
    set(A_LABELS unit)
  endif()
  if(NOT A_TIMEOUT)
    set(A_TIMEOUT 120)
  endif()
  add_executable(${name} ${A_SOURCES})
  target_compile_options(${name} PRIVATE ${TOKENWORKS_WARNINGS})
  target_link_libraries(${name} PRIVATE ${A_DEPS} GTest::gtest GTest::gmock GTest::gtest_main)
  if(NOT "grpc" IN_LIST A_LABELS AND NOT "oracle" IN_LIST A_LABELS)
    add_dependencies(tokenworks_core_tests ${name})
  endif()
  add_test(NAME ${name} COMMAND ${name} WORKING_DIRECTORY ${PROJECT_SOURCE_DIR})
  set_tests_properties(${name} PROPERTIES LABELS "${A_LABELS}" TIMEOUT ${A_TIMEOUT})
endfunction()
