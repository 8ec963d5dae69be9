# What `cmake --install` and packages contain (docs/install.md). The installed tree can be moved: the program looks for
# LibTorch beside itself.
include(GNUInstallDirs)
get_filename_component(torch_library_dir ${TORCH_LIBRARY} DIRECTORY)
set(copies_torch ON)
if(EXISTS ${torch_library_dir}/libtorch_cuda.so)
  set(copies_torch OFF)  # it needs several gigabytes of NVIDIA's libraries, which it finds beside itself
endif()
option(REPSIM_INSTALL_TORCH "Install a copy of the LibTorch libraries that repsim needs" ${copies_torch})
set(private_dir ${CMAKE_INSTALL_LIBDIR}/repsim)
file(RELATIVE_PATH private_dir_from_bin /${CMAKE_INSTALL_BINDIR} /${private_dir})
set(install_rpath "$ORIGIN/${private_dir_from_bin}")
if(torch_library_dir IN_LIST CMAKE_CXX_IMPLICIT_LINK_DIRECTORIES)
  set(REPSIM_INSTALL_TORCH OFF)  # a package of the system, found without our help
elseif(NOT REPSIM_INSTALL_TORCH)
  list(APPEND install_rpath ${torch_library_dir})
endif()
set_target_properties(repsim PROPERTIES INSTALL_RPATH "${install_rpath}")

install(TARGETS repsim RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
install(FILES configs/repsim.schema.json configs/plan.schema.json configs/measure.schema.json configs/sweep.schema.json
  DESTINATION ${CMAKE_INSTALL_DATADIR}/repsim)
install(FILES LICENSE README.md CHANGELOG.md DESTINATION ${CMAKE_INSTALL_DOCDIR})
if(REPSIM_INSTALL_TORCH)
  install(CODE "set(program \"$<TARGET_FILE:repsim>\")
    set(from \"${torch_library_dir}\")
    set(to \"\${CMAKE_INSTALL_PREFIX}/${private_dir}\")
    set(readelf \"${CMAKE_READELF}\")")
  install(SCRIPT cmake/InstallTorch.cmake)
  # The license of what is copied, where the Python package or the archive of LibTorch has it.
  file(GLOB torch_licenses ${TORCH_INSTALL_PREFIX}/../torch-*.dist-info/licenses/LICENSE
    ${TORCH_INSTALL_PREFIX}/../torch-*.dist-info/LICENSE ${TORCH_INSTALL_PREFIX}/LICENSE)
  if(torch_licenses)
    list(GET torch_licenses 0 torch_license)
    install(FILES ${torch_license} DESTINATION ${CMAKE_INSTALL_DOCDIR} RENAME LICENSE.libtorch)
  endif()
endif()

# Man pages and completions come from the program itself, which has to run here.
if(NOT CMAKE_CROSSCOMPILING)
  install(CODE "set(program \"$<TARGET_FILE:repsim>\")
    set(made \"${CMAKE_BINARY_DIR}/documents\")
    set(share \"\${CMAKE_INSTALL_PREFIX}/${CMAKE_INSTALL_DATADIR}\")
    set(man \"\${CMAKE_INSTALL_PREFIX}/${CMAKE_INSTALL_MANDIR}/man1\")")
  install(SCRIPT cmake/InstallDocuments.cmake)
endif()
