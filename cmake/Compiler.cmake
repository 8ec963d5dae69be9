# Warnings and sanitizers, for our own targets only.
add_library(repsim_warnings INTERFACE)
target_compile_options(repsim_warnings INTERFACE -Wall -Wextra -Wpedantic -Wconversion -Werror)
# Indices of models and layers are signed (-1: none) and index vectors as they are. GCC's -Wconversion leaves the sign out,
# and its -Wall the braces of an array inside a struct.
if(CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
  target_compile_options(repsim_warnings INTERFACE -Wno-sign-conversion -Wno-missing-braces)
endif()

# libstdc++ 12 calls std::get_temporary_buffer, which C++17 deprecated, inside std::stable_sort. Clang tells of it where
# the template is used, though the header is a system's.
if(CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
  include(CheckCXXSourceCompiles)
  check_cxx_source_compiles("#include <version>
    #if !defined(_GLIBCXX_RELEASE) || _GLIBCXX_RELEASE > 12
    #error another library
    #endif
    int main() {}" REPSIM_OLD_LIBSTDCXX)
  if(REPSIM_OLD_LIBSTDCXX)
    target_compile_options(repsim_warnings INTERFACE -Wno-deprecated-declarations)
  endif()
endif()

if(REPSIM_SANITIZE STREQUAL "thread")
  add_compile_options(-fsanitize=thread -fno-omit-frame-pointer)
  add_link_options(-fsanitize=thread)
elseif(REPSIM_SANITIZE)
  # vptr needs the type information of classes that LibTorch does not export (c10::DynamicType).
  add_compile_options(-fsanitize=address,undefined -fno-sanitize=vptr -fno-omit-frame-pointer
    -fno-sanitize-recover=undefined)
  add_link_options(-fsanitize=address,undefined)
  # GCC takes parts of std::regex for uninitialised where AddressSanitizer watches them (GCC bug 105562).
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    target_compile_options(repsim_warnings INTERFACE -Wno-maybe-uninitialized)
  endif()
endif()

if(REPSIM_FUZZ)
  add_compile_options(-fsanitize=fuzzer-no-link)  # libFuzzer follows which branches of the libraries are taken
endif()

find_program(CCACHE ccache)
if(CCACHE AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
  # Precompiled headers are hashed by content, not by time.
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CMAKE_COMMAND} -E env CCACHE_SLOPPINESS=pch_defines,time_macros,include_file_mtime,include_file_ctime ${CCACHE})
  add_compile_options(-fpch-preprocess)
endif()
