# SPDX-License-Identifier: Apache-2.0
# The Debian package, by CPack: `cmake --workflow --preset package` makes build/package/coffer_VERSION_ARCH.deb.
# The file is the same, byte by byte, whenever it is built from the same sources in the same place: all times in it are
# SOURCE_DATE_EPOCH, or that of the newest entry of cmake/package/changelog.
set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME coffer)
set(CPACK_PACKAGE_VENDOR "The Coffer authors")
set(CPACK_PACKAGE_CONTACT "The Coffer authors <coffer@localhost>" CACHE STRING "Who answers for the package")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "secrets broker for containers")
set(CPACK_DEBIAN_PACKAGE_DESCRIPTION
"Gives a container its secrets as files below /run/secrets, and nothing else:
nothing in the image, in the environment, or on disk in the clear. Values can
be replaced and taken back while the container runs, and each open is in an
audit log.
.
For Docker, Podman, containerd, CRI-O and runc, and for services of systemd.")
set(CPACK_VERBATIM_VARIABLES ON)
# systemd's units and /etc are not below the prefix.
set(CPACK_SET_DESTDIR ON)
set(CPACK_INSTALL_PREFIX /usr)
set(CPACK_INSTALL_DEFAULT_DIRECTORY_PERMISSIONS
  OWNER_READ OWNER_WRITE OWNER_EXECUTE GROUP_READ GROUP_EXECUTE WORLD_READ WORLD_EXECUTE)

set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SECTION admin)
set(CPACK_DEBIAN_PACKAGE_PRIORITY optional)
set(CPACK_DEBIAN_COMPRESSION_TYPE xz)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
# The accounts and folders are made by systemd's tools when the package is configured.
set(CPACK_DEBIAN_PACKAGE_DEPENDS "systemd (>= 252)")
set(CPACK_DEBIAN_PACKAGE_RECOMMENDS runc)
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
set(scripts ${CMAKE_CURRENT_LIST_DIR}/package)
set(CPACK_DEBIAN_PACKAGE_CONTROL_EXTRA ${scripts}/postinst ${scripts}/prerm ${scripts}/postrm)

file(STRINGS ${scripts}/changelog newest LIMIT_COUNT 1)
if(NOT newest MATCHES "^coffer \\(${PROJECT_VERSION}\\) ")
  message(FATAL_ERROR "cmake/package/changelog has no entry for ${PROJECT_VERSION}, which CMakeLists.txt says this is")
endif()

set(CPACK_COFFER_PACKAGE_FOLDER ${scripts})
set(CPACK_PRE_BUILD_SCRIPTS ${CMAKE_CURRENT_LIST_DIR}/package/finish.cmake)
set(CPACK_PROJECT_CONFIG_FILE ${CMAKE_CURRENT_LIST_DIR}/package/epoch.cmake)
include(CPack)
