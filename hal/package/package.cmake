# SPDX-License-Identifier: Apache-2.0
# `cpack -G DEB`: one Debian package with programs, libraries and headers. Configure with the preset
# `package`, so that libraries land in Debian's folder for them.
set(CPACK_PACKAGE_NAME segue)
set(CPACK_PACKAGE_VENDOR "The Segue authors")
set(CPACK_PACKAGE_CONTACT "The Segue authors <segue@localhost>")
set(CPACK_PACKAGE_DESCRIPTION "Records fills, copies and kernel dispatches through a small C API,
checks them, and replays them as CUDA graphs, or on a software driver where
there is no GPU. Holds the libraries, their headers, and the programs
segue-replay and segue-llama.")
set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_STRIP_FILES ON)

set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SECTION libdevel)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
# Makes ldconfig run, and other packages depend on this one by the library's SONAME.
set(CPACK_DEBIAN_PACKAGE_GENERATE_SHLIBS ON)
set(CPACK_DEBIAN_PACKAGE_GENERATE_SHLIBS_POLICY ">=")
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
# segue_trace.pc, segue_prepack.pc and the static libraries name them.
set(CPACK_DEBIAN_PACKAGE_RECOMMENDS "libjansson-dev, libxxhash-dev")
if(TARGET PkgConfig::liburing)
  string(APPEND CPACK_DEBIAN_PACKAGE_RECOMMENDS ", liburing-dev")
endif()
# Loaded at run time where they are there.
set(CPACK_DEBIAN_PACKAGE_SUGGESTS "libcuda1, libnvrtc12")
include(CPack)
