# SPDX-License-Identifier: Apache-2.0
# How each dependency is found. Nothing is copied into this repository. third_party/install.sh
# installs what is missing.
find_package(Threads REQUIRED)

# Where third_party/get_cuda.sh puts cuda.h and NVRTC on machines without a CUDA toolkit.
set(SEGUE_CUDA_WHEELS ${PROJECT_SOURCE_DIR}/build/cuda-wheels)
set(segue_cuda_places /usr/local/cuda /opt/cuda)

# cuda.h only: libcuda and NVRTC are loaded at run time.
find_path(SEGUE_CUDA_INCLUDE_DIR cuda.h
  HINTS ENV CUDA_HOME ENV CUDA_PATH
  PATHS ${segue_cuda_places} ${SEGUE_CUDA_WHEELS}
  PATH_SUFFIXES include
  DOC "Folder of cuda.h")
if(NOT SEGUE_CUDA_INCLUDE_DIR)
  message(FATAL_ERROR "cuda.h was not found. Install the CUDA toolkit, name it in CUDA_HOME, or "
    "run third_party/get_cuda.sh.")
endif()

# The NVRTC that tests are pointed to, so that they need no LD_LIBRARY_PATH; not found is fine.
find_file(SEGUE_LIBNVRTC NAMES libnvrtc.so.13 libnvrtc.so.12
  HINTS ENV CUDA_HOME ENV CUDA_PATH
  PATHS ${segue_cuda_places} ${SEGUE_CUDA_WHEELS}
  PATH_SUFFIXES lib64 lib
  NO_DEFAULT_PATH
  DOC "NVRTC for the tests; empty: wherever the loader finds it")
mark_as_advanced(SEGUE_CUDA_INCLUDE_DIR SEGUE_LIBNVRTC)

# segue_find_dependency(name module header library [OPTIONAL]): makes the target PkgConfig::<name>,
# also where there is no pkg-config. OPTIONAL: only if it is there.
find_package(PkgConfig)
function(segue_find_dependency name module header library)
  set(required REQUIRED)
  if("OPTIONAL" IN_LIST ARGN)
    set(required)
  endif()
  if(PkgConfig_FOUND)
    pkg_check_modules(${name} IMPORTED_TARGET GLOBAL ${module})
  endif()
  if(NOT TARGET PkgConfig::${name})
    find_path(${name}_HEADER_FOLDER ${header} ${required})
    find_library(${name}_LIBRARY_FILE ${library} ${required})
    mark_as_advanced(${name}_HEADER_FOLDER ${name}_LIBRARY_FILE)
    if(NOT ${name}_HEADER_FOLDER OR NOT ${name}_LIBRARY_FILE)
      return()
    endif()
    add_library(PkgConfig::${name} INTERFACE IMPORTED GLOBAL)
    target_include_directories(PkgConfig::${name} SYSTEM INTERFACE ${${name}_HEADER_FOLDER})
    target_link_libraries(PkgConfig::${name} INTERFACE ${${name}_LIBRARY_FILE})
  endif()
endfunction()

# For the trace library and what uses it.
segue_find_dependency(jansson jansson jansson.h jansson)
segue_find_dependency(xxhash libxxhash xxhash.h xxhash)

# For the prepack library: several reads at a time past the page cache. Without it, or where the
# kernel refuses, files are read one read a thread.
option(SEGUE_LIBURING "Use liburing where it is installed" ON)
if(SEGUE_LIBURING)
  segue_find_dependency(liburing liburing liburing.h uring OPTIONAL)
endif()
