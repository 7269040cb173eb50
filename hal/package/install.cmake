# SPDX-License-Identifier: Apache-2.0
# What is installed: headers, libraries, the software driver, segue-llama, and what
# find_package(segue) and pkg-config need. The CLI is installed by samples/replay.
include(CMakePackageConfigHelpers)

install(FILES LICENSE DESTINATION ${CMAKE_INSTALL_DOCDIR})

set(segue_package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/segue)

install(DIRECTORY hal/include/segue kernels/include/segue DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
foreach(target segue_shared segue_static segue_trace_shared segue_trace_static segue_prepack_shared
    segue_prepack_static segue_kernels)
  if(TARGET ${target})
    install(TARGETS ${target} EXPORT segue
      RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR}
      LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR}
      ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR}
      INCLUDES DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
  endif()
endforeach()

# Loaded at run time, never linked: beside libsegue, which looks for it there.
install(TARGETS segue_soft LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR})

if(SEGUE_BUILD_SAMPLES)
  install(TARGETS segue-llama RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
endif()

# Where the prepack library was built with liburing, those that link it statically need it, too.
set(segue_uses_liburing OFF)
set(segue_pc_liburing)
if(TARGET PkgConfig::liburing)
  set(segue_uses_liburing ON)
  set(segue_pc_liburing ", liburing")
endif()
install(EXPORT segue NAMESPACE segue:: FILE segueTargets.cmake DESTINATION ${segue_package_dir})
configure_package_config_file(hal/package/segueConfig.cmake.in
  ${PROJECT_BINARY_DIR}/cmake/segueConfig.cmake INSTALL_DESTINATION ${segue_package_dir})
write_basic_package_version_file(${PROJECT_BINARY_DIR}/cmake/segueConfigVersion.cmake
  VERSION ${PROJECT_VERSION} COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/cmake/segueConfig.cmake
  ${PROJECT_BINARY_DIR}/cmake/segueConfigVersion.cmake DESTINATION ${segue_package_dir})

# The prefix as seen from the .pc file, so that an installed tree can be moved.
cmake_path(RELATIVE_PATH CMAKE_INSTALL_PREFIX
  BASE_DIRECTORY ${CMAKE_INSTALL_FULL_LIBDIR}/pkgconfig OUTPUT_VARIABLE segue_pc_prefix)
foreach(name segue segue_kernels segue_prepack segue_trace)
  configure_file(hal/package/${name}.pc.in ${PROJECT_BINARY_DIR}/cmake/${name}.pc @ONLY)
  install(FILES ${PROJECT_BINARY_DIR}/cmake/${name}.pc
    DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
endforeach()
