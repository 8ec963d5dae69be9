# Finds LibTorch: sets Torch_FOUND, Torch_VERSION, Torch_DIR, TORCH_INSTALL_PREFIX, TORCH_LIBRARY, TORCH_LIBRARIES,
# TORCH_INCLUDE_DIRS and TORCH_CXX_FLAGS.

find_path(Torch_DIR TorchConfig.cmake HINTS ENV Torch_DIR PATH_SUFFIXES share/cmake/Torch Torch)
if(NOT Torch_DIR)
  message(FATAL_ERROR "LibTorch not found: run scripts/setup.sh, or pass -DCMAKE_PREFIX_PATH=/path/to/libtorch")
endif()
get_filename_component(torch_prefix ${Torch_DIR}/../../.. ABSOLUTE)

if(EXISTS ${torch_prefix}/lib/libtorch_cuda.so)
  # A build of Torch for CUDA. Its own file for CMake asks for the CUDA toolkit, which people who install such a build
  # with pip do not have and which repsim does not need: nothing here is compiled for a GPU, and Torch's libraries know
  # where theirs are.
  include(${Torch_DIR}/TorchConfigVersion.cmake)
  set(Torch_VERSION ${PACKAGE_VERSION})
  set(TORCH_INSTALL_PREFIX ${torch_prefix})
  set(TORCH_INCLUDE_DIRS ${torch_prefix}/include ${torch_prefix}/include/torch/csrc/api/include)
  set(TORCH_LIBRARY ${torch_prefix}/lib/libtorch.so)
  # libtorch.so brings the libraries for CUDA into the program; no symbol of them is named.
  set(TORCH_LIBRARIES "-Wl,--push-state,--no-as-needed,${TORCH_LIBRARY},--pop-state" ${torch_prefix}/lib/libtorch_cpu.so
    ${torch_prefix}/lib/libc10.so)
  set(TORCH_CXX_FLAGS "")
  set(Torch_FOUND TRUE)
else()
  # Torch's file for CMake warns about a kineto library that its wheels leave out; nothing here uses it.
  set(CMAKE_MESSAGE_LOG_LEVEL_BEFORE ${CMAKE_MESSAGE_LOG_LEVEL})
  set(CMAKE_MESSAGE_LOG_LEVEL ERROR)
  find_package(Torch QUIET CONFIG)
  set(CMAKE_MESSAGE_LOG_LEVEL ${CMAKE_MESSAGE_LOG_LEVEL_BEFORE})
  if(NOT Torch_FOUND)
    message(FATAL_ERROR "${Torch_DIR} does not describe a LibTorch that can be used: run scripts/setup.sh, or pass "
      "-DCMAKE_PREFIX_PATH=/path/to/libtorch")
  endif()
endif()
