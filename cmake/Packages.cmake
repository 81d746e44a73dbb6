# `cpack` makes three .deb files of the components of Install.cmake: the library, what is needed to build with it, and
# the command. The version is project(VERSION)'s and the library's package is named after its SONAME.
# Build with the preset "package": the paths are Debian's then. `./dev package` does both.
set(PGK_PACKAGE_MAINTAINER "pgkeeper contributors <pgkeeper@packages.invalid>" CACHE STRING
    "Maintainer of the .deb files, as Debian writes it")
get_target_property(pgk_soversion pgkeeper SOVERSION)
set(pgk_runtime_package libpgkeeper${pgk_soversion})

set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME pgkeeper)
set(CPACK_PACKAGE_VENDOR pgkeeper)
set(CPACK_PACKAGE_VERSION ${PROJECT_VERSION})
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_STRIP_FILES ON)
set(CPACK_COMPONENTS_ALL runtime development tools)
set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_MAINTAINER "${PGK_PACKAGE_MAINTAINER}")
set(CPACK_DEBIAN_PACKAGE_PRIORITY optional)
set(CPACK_DEBIAN_COMPRESSION_TYPE xz)
# Dependencies are read from the binaries; that on our own library stands below.
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS_PRIVATE_DIRS ${CMAKE_CURRENT_BINARY_DIR}/src)
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
# Who is linked with the library needs this version or a later one of the same SONAME.
set(CPACK_DEBIAN_PACKAGE_GENERATE_SHLIBS ON)
set(CPACK_DEBIAN_PACKAGE_GENERATE_SHLIBS_POLICY ">=")
# With any other summary than CPack's own default, CPack would put it in front of each description below.
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "${PROJECT_NAME} built using CMake")

set(CPACK_DEBIAN_RUNTIME_PACKAGE_NAME ${pgk_runtime_package})
set(CPACK_DEBIAN_RUNTIME_PACKAGE_SECTION libs)
set(CPACK_DEBIAN_RUNTIME_DESCRIPTION "leader election and job stores in PostgreSQL, library
libpgkeeper elects a leader among the processes of a cluster, gives it a token
that proves it, and keeps its jobs for its successor. All state is in a
PostgreSQL server.")

set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_NAME libpgkeeper-dev)
set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_SECTION libdevel)
set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_SHLIBDEPS OFF)
set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_DEPENDS "${pgk_runtime_package} (= ${PROJECT_VERSION})")
set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_RECOMMENDS pgkeeper)
set(CPACK_DEBIAN_DEVELOPMENT_DESCRIPTION "leader election and job stores in PostgreSQL, development files
Headers, pkg-config file, CMake package and manual of libpgkeeper, and the
migrations of its schema as files.")

set(CPACK_DEBIAN_TOOLS_PACKAGE_NAME pgkeeper)
set(CPACK_DEBIAN_TOOLS_PACKAGE_SECTION database)
set(CPACK_DEBIAN_TOOLS_PACKAGE_DEPENDS "${pgk_runtime_package} (= ${PROJECT_VERSION})")
set(CPACK_DEBIAN_TOOLS_PACKAGE_RECOMMENDS postgresql-client)
set(CPACK_DEBIAN_TOOLS_PACKAGE_SUGGESTS postgresql)
set(CPACK_DEBIAN_TOOLS_DESCRIPTION "leader election and job stores in PostgreSQL, command
pgkeeper makes the schema, shows who leads and what is stored, hands leadership
over, and runs a program in one place at a time.")

set(PGK_PACKAGE_NAMES "runtime:${pgk_runtime_package};development:libpgkeeper-dev;tools:pgkeeper")
configure_file(cmake/package_finish.cmake.in package_finish.cmake @ONLY)
set(CPACK_PRE_BUILD_SCRIPTS ${PROJECT_BINARY_DIR}/package_finish.cmake)
include(CPack)
