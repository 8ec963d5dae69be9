# Finds what repsim stands on. What is missing ends in one line that names the package to install.

macro(repsim_require name package)
  find_package(${name} ${ARGN} QUIET)
  if(NOT ${name}_FOUND)
    message(FATAL_ERROR "${name} not found: install ${package} (scripts/setup.sh installs all that repsim needs)")
  endif()
endmacro()

# A Torch that the user names wins (CMAKE_PREFIX_PATH, Torch_DIR); else the one in .venv.
if(NOT Torch_DIR AND NOT DEFINED ENV{Torch_DIR} AND NOT CMAKE_PREFIX_PATH AND NOT DEFINED ENV{CMAKE_PREFIX_PATH})
  file(GLOB venv_torch ${PROJECT_SOURCE_DIR}/.venv/lib/python3*/site-packages/torch/share/cmake/Torch)
  if(venv_torch)
    set(Torch_DIR ${venv_torch} CACHE PATH "Where TorchConfig.cmake is")
  endif()
endif()
include(${CMAKE_CURRENT_LIST_DIR}/FindTorch.cmake)
if(Torch_VERSION VERSION_LESS 2.9)
  message(FATAL_ERROR "LibTorch ${Torch_VERSION} is older than 2.9: pip install torch==2.13.0")
endif()
message(STATUS "LibTorch ${Torch_VERSION}: ${Torch_DIR}")

repsim_require(OpenCV libopencv-dev COMPONENTS core imgproc imgcodecs videoio)
repsim_require(CLI11 libcli11-dev)
repsim_require(nlohmann_json nlohmann-json3-dev)
repsim_require(spdlog libspdlog-dev)
repsim_require(OpenSSL libssl-dev COMPONENTS Crypto)
repsim_require(ZLIB zlib1g-dev)
repsim_require(Threads libc6-dev)
repsim_require(Boost libboost-dev)  # headers alone: the maximum flows of Boost.Graph
# The template library of the reports is one header without files for CMake.
find_path(MUSTACHE_INCLUDE_DIR kainjow/mustache.hpp)
mark_as_advanced(MUSTACHE_INCLUDE_DIR)
if(NOT MUSTACHE_INCLUDE_DIR)
  message(FATAL_ERROR "kainjow/mustache.hpp not found: install libkainjow-mustache-dev (scripts/setup.sh installs all that repsim needs)")
endif()
# FFmpeg brings no files for CMake.
add_library(repsim_ffmpeg INTERFACE)
foreach(part avformat avcodec avutil swscale)
  find_path(FFMPEG_${part}_INCLUDE_DIR lib${part}/${part}.h)
  find_library(FFMPEG_${part}_LIBRARY ${part})
  mark_as_advanced(FFMPEG_${part}_INCLUDE_DIR FFMPEG_${part}_LIBRARY)
  if(NOT FFMPEG_${part}_INCLUDE_DIR OR NOT FFMPEG_${part}_LIBRARY)
    message(FATAL_ERROR "lib${part} not found: install lib${part}-dev (scripts/setup.sh installs all that repsim needs)")
  endif()
  target_include_directories(repsim_ffmpeg SYSTEM INTERFACE ${FFMPEG_${part}_INCLUDE_DIR})
  target_link_libraries(repsim_ffmpeg INTERFACE ${FFMPEG_${part}_LIBRARY})
endforeach()
if(REPSIM_BUILD_TESTS)
  repsim_require(GTest "libgtest-dev and libgmock-dev")
  repsim_require(valijson libvalijson-dev)  # headers alone: the tests check JSON against the schemas
endif()

# torch's own flags and include folders stay on this target; its headers are not ours to warn about.
add_library(repsim_torch_dependency INTERFACE)
# Wheels of torch export parts of a C++ library of their own, std::filesystem among them, and what of it calls a newer C
# library may be missing: ours has to be found first.
if(CMAKE_SYSTEM_NAME STREQUAL "Linux" AND CMAKE_CXX_COMPILER_ID MATCHES "GNU|Clang")
  target_link_libraries(repsim_torch_dependency INTERFACE "-Wl,--push-state,--no-as-needed,-lstdc++,--pop-state")
endif()
target_link_libraries(repsim_torch_dependency INTERFACE ${TORCH_LIBRARIES})
target_include_directories(repsim_torch_dependency SYSTEM INTERFACE ${TORCH_INCLUDE_DIRS})
separate_arguments(torch_flags UNIX_COMMAND "${TORCH_CXX_FLAGS}")
target_compile_options(repsim_torch_dependency INTERFACE ${torch_flags})

add_library(repsim_opencv INTERFACE)
target_link_libraries(repsim_opencv INTERFACE opencv_core opencv_imgproc opencv_imgcodecs opencv_videoio)
target_include_directories(repsim_opencv SYSTEM INTERFACE ${OpenCV_INCLUDE_DIRS})
