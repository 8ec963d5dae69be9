# Packages: cpack --config build/release/CPackConfig.cmake (docs/install.md).
# scripts/package_test.sh makes them, and uses them in empty roots.
set(CPACK_GENERATOR "TGZ;DEB")
set(CPACK_PACKAGE_NAME repsim)
set(CPACK_PACKAGE_VENDOR repsim)
set(CPACK_PACKAGE_CONTACT "repsim maintainers <maintainers@repsim.invalid>")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "${PROJECT_DESCRIPTION}")
set(CPACK_PACKAGE_DESCRIPTION "repsim finds layers of TorchScript detection models whose work other models can reuse,
measures on unlabelled video what that costs, and writes one smaller bundle.")
set(CPACK_RESOURCE_FILE_LICENSE ${PROJECT_SOURCE_DIR}/LICENSE)
set(CPACK_STRIP_FILES OFF)  # LibTorch's libraries are not ours to change
set(CPACK_THREADS 0)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SECTION science)
set(CPACK_DEBIAN_COMPRESSION_TYPE zstd)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)  # dpkg-shlibdeps finds the packages of all other libraries
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS_PRIVATE_DIRS ${torch_library_dir})
include(CPack)
